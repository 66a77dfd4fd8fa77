/**
 * A bucket of blobs as messages of one stream: chunks, each with its checksum, and a manifest per name that is written last.
 *
 * What is a blob? What its manifest says. Chunks without one are a writer's that is at work, or one that died; every writer leaves
 * an intent beside its chunks, and whoever sees the same intent unchanged for an hour, on its own clock, removes both.
 */
import { crc32 } from 'node:zlib';
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import { compareKeys } from '../../core/internal/keys.js';
import { randomId } from '../../core/random.js';
import type { BlobStat } from '../../core/transport/blob.js';
import { type JetStream, LISTING, type StoredMessage } from './jetstream.js';
import { decodeKey, encodeKey } from './names.js';
import { OpenedStream } from './opened-stream.js';
import type { NatsMessage } from './peer.js';

export interface Manifest extends BlobStat {
  /** Names the chunks. */
  readonly id: string;
  readonly chunkBytes: number;
  /** Of the manifest's message. */
  readonly seq: number;
}

/** Chunks on their way to be a blob. */
export interface Chunks {
  readonly id: string;
  readonly name: string;
  readonly chunkBytes: number;
  /** Sequence of the intent. */
  intent: number;
}

/** What is said beside chunks. */
interface Intent {
  readonly name: string;
  /** By whoever removes them: their writer must not go on. */
  readonly isAbandoned?: boolean;
}

/** Half of what a server takes by default: larger ones are not faster, smaller ones cost more round trips. */
const CHUNK_BYTES = 512 * 1024;
const MIN_CHUNK_BYTES = 1024;
/** Of a chunk's message: the checksum's header. */
const HEADER_BYTES = 128;
const CRC = 'Evenkeel-Crc32';
/** A chunk takes longer than a small message on a slow link. */
const CHUNK_TRY_MS = 2000;
const CHUNK_TIMEOUT_MS = 30_000;
const ABANDONED_AFTER_MS = 60 * 60_000;
const LOOK_EVERY_MS = 10 * 60_000;
const MAX_RACES = 100;
/** Subjects on one page of the server's answer. */
const SUBJECTS_PAGE = 100_000;

export class NatsBlobStore {
  readonly js: JetStream;
  readonly #stream: string;
  readonly #subjects: string;
  readonly #opened: OpenedStream;
  readonly #intents = new Map<string, { seq: number; sinceMs: number }>();
  #nextLook = Number.NEGATIVE_INFINITY;

  constructor(js: JetStream, bucket: string, bounds: { maxBytes: number | undefined; replicas: number }) {
    this.js = js;
    this.#stream = `EKB_${bucket}`;
    this.#subjects = `$EKB.${bucket}`;
    const config = {
      name: this.#stream,
      subjects: [`${this.#subjects}.>`],
      max_msgs_per_subject: 1,
      max_bytes: bounds.maxBytes ?? -1,
      num_replicas: bounds.replicas,
      allow_direct: true,
    };
    this.#opened = new OpenedStream(
      () => js.ensureStream(config),
      () => this.#intents.clear(),
    );
  }

  manifest(name: string, signal?: AbortSignal): Promise<Manifest | undefined> {
    return this.#opened.use(signal, async () => (await this.#manifestAt(name, signal)).manifest);
  }

  /** A new set of chunks, whose intent is stored. */
  begin(name: string, signal: AbortSignal | undefined): Promise<Chunks> {
    return this.#opened.use(signal, async () => {
      this.#removeAbandoned();
      const chunks = { id: randomId(this.js.link.random), name, chunkBytes: this.#chunkBytes(), intent: 0 };
      await this.renew(chunks, signal);
      return chunks;
    });
  }

  /**
   * Says that the writer is still at work.
   * @throws {EvenkeelError} `aborted` when others took it for dead.
   */
  async renew(chunks: Chunks, signal?: AbortSignal): Promise<void> {
    const { id, name } = chunks;
    for (;;) {
      try {
        chunks.intent = await this.#intend(id, { name }, chunks.intent, signal);
        return;
      } catch (error) {
        if (!isEvenkeelError(error, 'aborted')) throw error;
      }
      const found = await this.js.message(this.#stream, { last_by_subj: this.#intentSubject(id) }, { signal });
      if (found === undefined || (parse(found.data) as Intent).isAbandoned === true) {
        throw new EvenkeelError('aborted', `the writer of ${name} said nothing for an hour: its chunks were removed`);
      }
      // An earlier renewal of ours, whose answer was lost.
      chunks.intent = found.seq;
    }
  }

  async writeChunk({ id }: Chunks, index: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const what = `write chunk ${index}`;
    const headers = [CRC, String(crc32(bytes))];
    // Twice the same bytes under the same subject are once: no message id to remember.
    const once = { tryTimeoutMs: CHUNK_TRY_MS, timeoutMs: CHUNK_TIMEOUT_MS, messageId: false } as const;
    const options = { what, stream: this.#stream, headers, signal, ...once };
    await this.js.publish(`${this.#subjects}.c.${id}.${index}`, bytes, options);
  }

  /** Makes the chunks the blob of their name, in place of what was. */
  async commit(chunks: Chunks, bytes: number): Promise<void> {
    const { id, name, chunkBytes } = chunks;
    await this.renew(chunks);
    const json = JSON.stringify({ v: 1, id, bytes, chunkBytes });
    for (let race = 0; ; race++) {
      const { manifest, seq } = await this.#manifestAt(name);
      // What is replaced has to go, also when this process dies before it has seen to that.
      if (manifest !== undefined) await this.#intend(manifest.id, { name });
      try {
        const options = { what: `commit blob ${name}`, stream: this.#stream, expect: seq };
        await this.js.publish(this.#manifestSubject(name), json, options);
        await Promise.all([this.#forget(id), manifest === undefined ? undefined : this.remove(manifest.id)]);
        return;
      } catch (error) {
        // Another writer's came first: it is now the one to replace.
        if (!isEvenkeelError(error, 'aborted') || race >= MAX_RACES) throw error;
      }
    }
  }

  /** Removes chunks, and then their intent. What fails is left to whoever finds the intent. */
  async remove(id: string): Promise<void> {
    try {
      await this.js.purge(this.#stream, `${this.#subjects}.c.${id}.*`);
      await this.#forget(id);
    } catch {
      // The intent is there.
    }
  }

  delete(name: string): Promise<boolean> {
    return this.#opened.use(undefined, () => this.#delete(name));
  }

  async #delete(name: string): Promise<boolean> {
    for (;;) {
      const { manifest } = await this.#manifestAt(name);
      if (manifest === undefined) return false;
      await this.#intend(manifest.id, { name }).catch(unlessFull);
      let isRepeated = false;
      const onRepeat = () => {
        isRepeated = true;
      };
      const purged = await this.js.purge(this.#stream, this.#manifestSubject(name), { seq: manifest.seq + 1, onRepeat });
      // Nothing there: a lost try did it, or others did, and then there is another manifest or none.
      const isOurs = purged > 0 || (isRepeated && (await this.#manifestAt(name)).seq !== manifest.seq);
      if (!isOurs) continue;
      await this.remove(manifest.id);
      return true;
    }
  }

  /** @throws {EvenkeelError} `not-found` when the chunk is gone, `data-loss` for a wrong checksum. */
  async readChunk({ name, id }: Manifest, index: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const options = { signal, tryTimeoutMs: CHUNK_TRY_MS, timeoutMs: CHUNK_TIMEOUT_MS };
    const message = await this.js.constant(this.#stream, `${this.#subjects}.c.${id}.${index}`, options);
    if (message === undefined) throw new EvenkeelError('not-found', `chunk ${index} of ${name} is not there`);
    if (crc32(message.data) !== Number(message.header(CRC))) {
      throw new EvenkeelError('data-loss', `chunk ${index} of ${name} fails its checksum`, { details: { name, index } });
    }
    return message.data;
  }

  /** Names below `prefix`, after `after`, in byte order. */
  names(prefix: string, after: string | undefined): Promise<string[]> {
    return this.#opened.use(undefined, () => this.#names(prefix, after));
  }

  async #names(prefix: string, after: string | undefined): Promise<string[]> {
    const base = `${this.#subjects}.m.`;
    const names: string[] = [];
    for await (const subject of this.#listSubjects(`${base}>`)) {
      const name = decodeKey(subject.slice(base.length));
      if (name === undefined || !name.startsWith(prefix)) continue;
      if (after === undefined || compareKeys(name, after) > 0) names.push(name);
    }
    return names.sort(compareKeys);
  }

  async #manifestAt(name: string, signal?: AbortSignal): Promise<{ manifest: Manifest | undefined; seq: number }> {
    const which = { last_by_subj: this.#manifestSubject(name) };
    const message = await this.js.message(this.#stream, which, { signal });
    if (message === undefined) return { manifest: undefined, seq: 0 };
    const { seq, data } = message;
    const { v, id, bytes, chunkBytes } = parse(data) as Partial<Manifest> & { v?: number };
    if (v !== 1 || typeof id !== 'string' || !Number.isSafeInteger(bytes) || !(Number(chunkBytes) > 0)) {
      throw new EvenkeelError('data-loss', `the manifest of ${name} is damaged`, { details: { name } });
    }
    return { manifest: { name, id, bytes: bytes as number, chunkBytes: chunkBytes as number, seq }, seq };
  }

  #manifestSubject(name: string): string {
    return `${this.#subjects}.m.${encodeKey(name)}`;
  }

  /**
   * Leaves word that these chunks have to go unless they are the blob's of that name; resolves with the word's sequence.
   * @param last - Sequence of the word before, 0 for the first; undefined for whatever there is.
   */
  async #intend(id: string, intent: Intent, last?: number, signal?: AbortSignal): Promise<number> {
    const options = { what: `write blob ${intent.name}`, stream: this.#stream, expect: last, signal };
    return (await this.js.publish(this.#intentSubject(id), JSON.stringify({ v: 1, ...intent }), options)).seq;
  }

  async #forget(id: string): Promise<void> {
    this.#intents.delete(id);
    await this.js.purge(this.#stream, this.#intentSubject(id)).catch(() => {});
  }

  #intentSubject(id: string): string {
    return `${this.#subjects}.w.${id}`;
  }

  /** What this server takes in one message. */
  #chunkBytes(): number {
    return Math.min(CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, this.js.link.maxPayload - HEADER_BYTES));
  }

  async *#listSubjects(filter: string): AsyncGenerator<string, void> {
    for (let offset = 0; ; offset += SUBJECTS_PAGE) {
      const { state } = await this.js.info(this.#stream, { ...LISTING, subjects: filter, offset });
      const page = Object.keys(state.subjects ?? {});
      yield* page;
      if (page.length < SUBJECTS_PAGE) return;
    }
  }

  /** In the background of a new writer. */
  #removeAbandoned(): void {
    const now = this.js.link.clock.now();
    if (now < this.#nextLook) return;
    this.#nextLook = now + LOOK_EVERY_MS;
    this.#lookForAbandoned(now).catch(() => {});
  }

  async #lookForAbandoned(now: number): Promise<void> {
    const base = `${this.#subjects}.w.`;
    const seen = new Set<string>();
    for await (const subject of this.#listSubjects(`${base}*`)) {
      const id = subject.slice(base.length);
      const intent = await this.js.message(this.#stream, { last_by_subj: subject });
      if (intent === undefined) continue;
      seen.add(id);
      const known = this.#intents.get(id);
      if (known?.seq !== intent.seq) this.#intents.set(id, { seq: intent.seq, sinceMs: now });
      else if (now - known.sinceMs >= ABANDONED_AFTER_MS) await this.#abandon(id, intent);
    }
    for (const id of this.#intents.keys()) if (!seen.has(id)) this.#intents.delete(id);
  }

  /** Its writer may have died between the commit and the removal of the intent: then the chunks are a blob's. */
  async #abandon(id: string, intent: StoredMessage): Promise<void> {
    const { name } = parse(intent.data) as Intent;
    // From here on the writer, should it live, is refused.
    await this.#intend(id, { name, isAbandoned: true }, intent.seq);
    const manifest = typeof name === 'string' ? (await this.#manifestAt(name)).manifest : undefined;
    await (manifest?.id === id ? this.#forget(id) : this.remove(id));
  }
}

/** A full bucket must not keep anybody from making room. */
function unlessFull(error: unknown): void {
  if (!isEvenkeelError(error, 'resource-exhausted')) throw error;
}

function parse(data: NatsMessage['data']): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString());
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
