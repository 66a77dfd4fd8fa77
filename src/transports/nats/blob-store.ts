/**
 * A bucket of blobs as messages of one stream: chunks, each with its checksum, and a manifest per name that is written last.
 *
 * What is a blob? What its manifest says. Chunks without one are a writer's that is at work, or one that died; every writer leaves
 * an intent beside its chunks, by which others know in time that it is dead (abandoned-chunks.ts).
 */
import { crc32 } from 'node:zlib';
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import { compareKeys } from '../../core/internal/keys.js';
import { randomId } from '../../core/random.js';
import type { BlobStat } from '../../core/transport/blob.js';
import { AbandonedChunks, type StoredIntent } from './abandoned-chunks.js';
import { BlobIntents, type Chunks } from './blob-intents.js';
import { type JetStream, parseRecord } from './jetstream.js';
import { decodeKey, encodeKey } from './names.js';
import { OpenedStream } from './opened-stream.js';
import { mayHaveActed } from './requests.js';

export interface Manifest extends BlobStat {
  /** Names the chunks. */
  readonly id: string;
  readonly chunkBytes: number;
  /** Of the manifest's message. */
  readonly seq: number;
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
/** Stopped for so long between two steps of a commit, a writer says once more that it is alive before it goes on. */
const STOPPED_MS = 5 * 60_000;
const MAX_RACES = 100;
/** nats-server 2.9 gathers small messages for some 8 ms before it writes them. */
const WRITTEN_MS = 25;

export class NatsBlobStore {
  readonly js: JetStream;
  readonly #stream: string;
  readonly #subjects: string;
  readonly #opened: OpenedStream;
  readonly #intents: BlobIntents;
  readonly #abandoned: AbandonedChunks;
  #commits = 0;

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
    this.#intents = new BlobIntents(js, this.#stream, `${this.#subjects}.w.`);
    this.#abandoned = new AbandonedChunks(js.link, this.#intents, (id, intent) => this.#abandon(id, intent));
    this.#opened = new OpenedStream(
      () => js.ensureStream(config),
      () => this.#abandoned.forgetAll(),
    );
  }

  /** Blobs committed by this process. */
  get commits(): number {
    return this.#commits;
  }

  /** @throws {EvenkeelError} `data-loss` for one that is damaged. */
  manifest(name: string, signal?: AbortSignal): Promise<Manifest | undefined> {
    return this.#opened.use(signal, async () => {
      const { manifest, seq } = await this.#manifestAt(name, signal);
      if (manifest !== undefined || seq === 0) return manifest;
      throw new EvenkeelError('data-loss', `the manifest of ${name} is damaged`, { details: { name } });
    });
  }

  /** A new set of chunks, whose intent is stored. */
  begin(name: string, signal: AbortSignal | undefined): Promise<Chunks> {
    return this.#opened.use(signal, async () => {
      const chunks = { id: randomId(this.js.link.random), name, chunkBytes: this.#chunkBytes(), intent: 0 };
      await this.renew(chunks, signal);
      this.#abandoned.look(chunks.id);
      return chunks;
    });
  }

  /**
   * Says that the writer is still at work.
   * @throws {EvenkeelError} `aborted` when others took it for dead.
   */
  renew(chunks: Chunks, signal?: AbortSignal): Promise<void> {
    return this.#intents.renew(chunks, signal);
  }

  async writeChunk({ id }: Chunks, index: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const what = `write chunk ${index}`;
    const headers = [CRC, String(crc32(bytes))];
    // Twice the same bytes under the same subject are once: no message id to remember.
    const once = { tryTimeoutMs: CHUNK_TRY_MS, timeoutMs: CHUNK_TIMEOUT_MS, messageId: false } as const;
    const options = { what, stream: this.#stream, headers, signal, ...once };
    await this.js.publish(`${this.#subjects}.c.${id}.${index}`, bytes, options);
  }

  /**
   * Makes the chunks the blob of their name, in place of what was.
   *
   * A server acknowledges a message some milliseconds before it writes it, and one that is killed forgets it. So what is replaced stays until
   * the manifest is written: then it is looked for once more, and where it was forgotten, made again.
   * @throws {EvenkeelError} `unavailable`, retryable `yes`, when the server forgot chunks as well.
   */
  async commit(chunks: Chunks, bytes: number): Promise<void> {
    const { id, name, chunkBytes } = chunks;
    const json = JSON.stringify({ v: 1, id, bytes, chunkBytes });
    let wasForgotten = false;
    let replaced = 0;
    for (let race = 0; ; race++) {
      const since = this.#times();
      // What was forgotten may be the last word of the intent, too.
      if (wasForgotten) chunks.intent = await this.#intents.condemn(id, name);
      else await this.renew(chunks);
      const { manifest, seq } = await this.#manifestAt(name);
      if (wasForgotten && seq < replaced) await this.#removeReturned(name, replaced);
      replaced = seq;
      // What is replaced has to go, also when this process dies before it has seen to that.
      const intent = manifest === undefined ? 0 : await this.#intents.condemn(manifest.id, name);
      const { generation } = this.js.link;
      try {
        this.#checkMovedOn(name, since);
        const headers = [CRC, String(crc32(json))];
        const options = { what: `commit blob ${name}`, stream: this.#stream, headers, expect: seq };
        const published = await this.js.publish(this.#manifestSubject(name), json, options);
        if (await this.#isWritten(name, published.seq, generation)) {
          this.#commits++;
          await Promise.all([
            this.#forget(id, chunks.intent),
            manifest === undefined ? undefined : this.#remove(manifest.id, intent),
          ]);
          return;
        }
      } catch (error) {
        // Another writer's came first, and is now the one to replace; or we were stopped; or a try was forgotten.
        const isConflict = isEvenkeelError(error, 'aborted') || wasRolledBack(error, seq);
        if (!isConflict || race >= MAX_RACES) throw error;
      }
      if (race >= MAX_RACES) throw new EvenkeelError('unavailable', `${name} is forgotten over and over`, { retryable: 'yes' });
      wasForgotten = this.js.link.generation !== generation;
      if (wasForgotten) await this.#checkChunks(chunks, Math.ceil(bytes / chunkBytes));
    }
  }

  /**
   * The manifest with sequence `seq`, acknowledged on the connection `generation`, is there or was replaced.
   * @throws {EvenkeelError} When nobody says; retryable `unknown`, for the chunks are most likely a blob's.
   */
  async #isWritten(name: string, seq: number, generation: number): Promise<boolean> {
    const { link } = this.js;
    await link.clock.sleep(WRITTEN_MS, undefined, true);
    const last = await this.#manifestAt(name).catch((error: unknown) => {
      throw mayHaveActed(error);
    });
    // On one connection a manifest that is gone was deleted.
    return last.seq >= seq || link.generation === generation;
  }

  /** A manifest that is back again, but not for who asks by its subject: such a server drops what comes after it. */
  async #removeReturned(name: string, seq: number): Promise<void> {
    // It may have been forgotten as well, and its sequence be another message's now.
    const message = await this.js.message(this.#stream, { seq });
    if (message?.subject === this.#manifestSubject(name)) await this.js.remove(this.#stream, seq);
  }

  /** A chunk is written before the manifest that comes after it, but not before it is acknowledged. */
  async #checkChunks({ id, name }: Chunks, count: number): Promise<void> {
    let found = 0;
    for await (const _ of this.js.subjects(this.#stream, `${this.#subjects}.c.${id}.*`)) found++;
    if (found >= count) return;
    const message = `the server was killed and forgot ${count - found} of ${count} chunks of ${name}: write it again`;
    throw new EvenkeelError('unavailable', message, { retryable: 'yes' });
  }

  /** Removes chunks that nobody will name. */
  remove({ id, intent }: Chunks): Promise<void> {
    return this.#remove(id, intent);
  }

  /** Removes chunks, and then the intent beside them. What fails is left to whoever finds the intent. */
  async #remove(id: string, intent: number): Promise<void> {
    try {
      await this.js.purge(this.#stream, `${this.#subjects}.c.${id}.*`);
      await this.#forget(id, intent);
    } catch {
      // The intent is there.
    }
  }

  delete(name: string): Promise<boolean> {
    return this.#opened.use(undefined, () => this.#delete(name));
  }

  async #delete(name: string): Promise<boolean> {
    for (;;) {
      const { manifest, seq } = await this.#manifestAt(name);
      if (seq === 0) return false;
      const intent = manifest === undefined ? 0 : await this.#intents.condemn(manifest.id, name).catch(unlessFull);
      let isRepeated = false;
      const onRepeat = () => {
        isRepeated = true;
      };
      const purged = await this.js.purge(this.#stream, this.#manifestSubject(name), { seq: seq + 1, onRepeat });
      // Nothing there: a lost try did it, or others did, and then there is another manifest or none.
      const isOurs = purged > 0 || (isRepeated && (await this.#manifestAt(name)).seq !== seq);
      if (!isOurs) continue;
      if (manifest !== undefined) await this.#remove(manifest.id, intent);
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

  /** Names below `prefix`, in byte order. */
  names(prefix: string): Promise<string[]> {
    return this.#opened.use(undefined, () => this.#names(prefix));
  }

  async #names(prefix: string): Promise<string[]> {
    const base = `${this.#subjects}.m.`;
    const names: string[] = [];
    for await (const [subject] of this.js.subjects(this.#stream, `${base}>`)) {
      const name = decodeKey(subject.slice(base.length));
      if (name?.startsWith(prefix)) names.push(name);
    }
    return names.sort(compareKeys);
  }

  /** Without a manifest, but with a sequence: it is damaged, and may be replaced or deleted. What chunks it had nobody knows. */
  async #manifestAt(name: string, signal?: AbortSignal): Promise<{ manifest: Manifest | undefined; seq: number }> {
    const which = { last_by_subj: this.#manifestSubject(name) };
    const message = await this.js.message(this.#stream, which, { signal });
    if (message === undefined) return { manifest: undefined, seq: 0 };
    const { seq, data, header } = message;
    const { v, id, bytes, chunkBytes } = parseRecord(data) as Partial<Manifest> & { v?: number };
    const isWhole = crc32(data) === Number(header(CRC)) && v === 1;
    if (!isWhole || typeof id !== 'string' || !Number.isSafeInteger(bytes) || !(Number(chunkBytes) > 0)) {
      return { manifest: undefined, seq };
    }
    return { manifest: { name, id, bytes: bytes as number, chunkBytes: chunkBytes as number, seq }, seq };
  }

  #manifestSubject(name: string): string {
    return `${this.#subjects}.m.${encodeKey(name)}`;
  }

  async #forget(id: string, intent: number): Promise<void> {
    this.#abandoned.forget(id);
    await this.#intents.forget(id, intent);
  }

  async #abandon(id: string, intent: StoredIntent): Promise<void> {
    const { name } = intent;
    const last = await this.#intents.abandon(id, intent);
    // It may have died between the commit and the removal of the intent: then the chunks are a blob's.
    const manifest = name === undefined ? undefined : (await this.#manifestAt(name)).manifest;
    await (manifest?.id === id ? this.#forget(id, last) : this.#remove(id, last));
  }

  close(): void {
    this.#abandoned.close();
  }

  /** The monotonic clock, which may stand still while the machine sleeps, and the other. */
  #times(): readonly [number, number] {
    const { clock } = this.js.link;
    return [clock.now(), clock.wallTime()];
  }

  /** After a long stop others may have taken this writer for dead, and removed what the manifest would name. */
  #checkMovedOn(name: string, [now, wallTime]: readonly [number, number]): void {
    const times = this.#times();
    if (times[0] - now <= STOPPED_MS && times[1] - wallTime <= STOPPED_MS) return;
    throw new EvenkeelError('aborted', `the process was stopped in the middle of the commit of ${name}`);
  }

  /** What this server takes in one message. */
  #chunkBytes(): number {
    return Math.min(CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, this.js.link.maxPayload - HEADER_BYTES));
  }
}

/** A full bucket must not keep anybody from making room. */
function unlessFull(error: unknown): number {
  if (!isEvenkeelError(error, 'resource-exhausted')) throw error;
  return 0;
}

/** A try landed and was forgotten, and with it what it came over: the last message of the subject is older than `seq`. */
function wasRolledBack(error: unknown, seq: number): boolean {
  return isEvenkeelError(error, 'unavailable') && Number(error.details?.last ?? seq) < seq;
}
