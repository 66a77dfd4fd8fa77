/**
 * Publishes the tables of one service within one term.
 *
 * What does a change cost its readers? The change, the head, and now and then all changes since the whole merged into one; the whole
 * anew when they have grown to half of it. So over time at most some three times the changes themselves.
 * And after a write whose answer was lost? Somebody may have read it. Its version is never used again, and the next delta says of all
 * that it touched what that is now.
 */
import { EvenkeelError } from '../../core/errors.js';
import { type FencedValue, putFenced } from '../../core/fenced-document.js';
import type { StateTransport } from '../../core/transport/state.js';
import { cut, decodeHead, headKey, headValue, pieceKeys, type RibDocument, type RibHead } from './rib-keys.js';
import { emptyTable, type RoutingTable } from './routing-table.js';
import { checksumIn, encodeDelta, encodeTable } from './table-codec.js';
import { diffTables, isEmptyDelta, mergeDeltas, type TableDelta } from './table-delta.js';

export interface Publication {
  readonly table: RoutingTable;
  /** Of the document. */
  readonly bytes: number;
  readonly kind: 'whole' | 'delta' | 'merged';
}

export type TableContent = Pick<RoutingTable, 'endpoints' | 'loads' | 'shards' | 'routing'>;

/** Deltas a reader that begins has to fetch, each a request. */
const MAX_DELTAS = 16;
/** Of the bytes of the whole: when deltas come to more, it is written anew. */
const MAX_DELTA_RATIO = 0.5;
/** Small tables are not rewritten for each word. */
const MIN_DELTA_BYTES = 16 * 1024;

interface Written extends RibDocument {
  readonly bytes: number;
}

export class RibPublisher {
  readonly #state: StateTransport;
  readonly #prefix: string;
  readonly #token: number;
  /** As readers have it, or will when the last write turns out to have landed. */
  #table: RoutingTable;
  /** Of the last head that certainly landed: first the whole. Empty: none yet. */
  #documents: readonly Written[] = [];
  /** All that changed since the whole; what merged deltas are made of. */
  #sinceWhole: TableDelta | undefined;
  /** What changed since the last head that certainly landed. */
  #unsure: TableDelta | undefined;
  /** Left by heads of before, to be deleted. */
  #garbage: string[] = [];

  /** @param lastVersion - The highest one ever published; versions go on from there. */
  constructor(options: {
    state: StateTransport;
    prefix: string;
    service: string;
    token: number;
    lastVersion: number;
    /** Documents of earlier terms, deleted once this one has a head. */
    garbage: readonly string[];
  }) {
    const { state, prefix, service, token, lastVersion, garbage } = options;
    this.#state = state;
    this.#prefix = prefix;
    this.#token = token;
    this.#garbage = [...garbage];
    this.#table = { ...emptyTable(service), token, version: lastVersion };
  }

  get table(): RoutingTable {
    return this.#table;
  }

  /**
   * Publishes what has changed; undefined when nothing has.
   * One at a time, unless the one before has been aborted.
   * @throws {EvenkeelError} `aborted` when a later term has published; what the store throws. Then call it again with what is true by then.
   */
  async publish(content: TableContent, signal: AbortSignal): Promise<Publication | undefined> {
    const before = this.#table;
    const table: RoutingTable = { ...content, service: before.service, token: this.#token, version: before.version + 1 };
    const step = diffTables(before, table);
    if (this.#documents.length > 0 && this.#unsure === undefined && isEmptyDelta(step)) return undefined;
    const delta = this.#unsure === undefined ? step : mergeDeltas(this.#unsure, step);
    const sinceWhole = this.#sinceWhole === undefined ? delta : mergeDeltas(this.#sinceWhole, delta);
    this.#table = table;
    this.#unsure = delta;
    const { kind, bytes, from } = this.#encode(table, delta, sinceWhole);
    const document = { from, version: table.version, ...(await this.#write(from, table.version, bytes, signal)) };
    const kept = kind === 'whole' ? [] : kind === 'merged' ? this.#documents.slice(0, 1) : this.#documents;
    const documents = [...kept, document];
    await this.#putHead({ token: this.#token, version: table.version, documents }, signal);
    const named = new Set(documents);
    this.#garbage.push(
      ...this.#documents.filter((old) => !named.has(old)).flatMap((old) => pieceKeys(this.#prefix, this.#token, old)),
    );
    this.#documents = documents;
    this.#sinceWhole = kind === 'whole' ? undefined : sinceWhole;
    this.#unsure = undefined;
    await this.#tidy(signal);
    return { table, bytes: bytes.length, kind };
  }

  /** Deletes it all, unless a later term has published. */
  async remove(signal: AbortSignal): Promise<void> {
    const key = headKey(this.#prefix);
    const entry = await this.#state.get(key, { signal });
    if (entry !== undefined && decodeHead(entry.value).token === this.#token) {
      await this.#state.delete(key, { expect: entry.revision, signal });
    }
    this.#garbage.push(...this.#documents.flatMap((document) => pieceKeys(this.#prefix, this.#token, document)));
    this.#documents = [];
    await this.#tidy(signal);
  }

  #encode(
    table: RoutingTable,
    delta: TableDelta,
    sinceWhole: TableDelta,
  ): { kind: Publication['kind']; bytes: Uint8Array; from: number } {
    const [whole, ...deltas] = this.#documents;
    if (whole !== undefined) {
      const isMerging = deltas.length >= MAX_DELTAS;
      const change = isMerging ? sinceWhole : delta;
      const bytes = encodeDelta(change);
      const total = bytes.length + (isMerging ? 0 : deltas.reduce((sum, document) => sum + document.bytes, 0));
      if (total <= Math.max(MIN_DELTA_BYTES, whole.bytes * MAX_DELTA_RATIO)) {
        return { kind: isMerging ? 'merged' : 'delta', bytes, from: change.from };
      }
    }
    return { kind: 'whole', bytes: encodeTable(table), from: 0 };
  }

  /** Pieces first: a head never names what is not there. */
  async #write(
    from: number,
    version: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<Omit<Written, 'from' | 'version'>> {
    const pieces = cut(bytes);
    const document = { pieces: pieces.length, checksum: checksumIn(bytes), bytes: bytes.length };
    const keys = pieceKeys(this.#prefix, this.#token, { from, version, ...document });
    // Until a head names them they are nobody's.
    this.#garbage.push(...keys);
    for (const [i, piece] of pieces.entries()) {
      signal.throwIfAborted();
      await this.#state.put(keys[i] as string, piece, { signal });
    }
    return document;
  }

  async #putHead(head: RibHead, signal: AbortSignal): Promise<void> {
    const value = (present: FencedValue | undefined) => {
      signal.throwIfAborted();
      // One of our own that was given up and goes on must not write over its successor.
      const { version } = present ?? {};
      if (typeof version === 'number' && version >= head.version) {
        // Whoever wrote it: the next attempt goes above it.
        if (Number.isSafeInteger(version)) this.#table = { ...this.#table, version };
        throw new EvenkeelError('cancelled', `version ${head.version} comes after ${version}`);
      }
      return headValue(head);
    };
    await putFenced(this.#state, headKey(this.#prefix), value, this.#token, { signal });
    signal.throwIfAborted();
    const named = new Set(head.documents.flatMap((document) => pieceKeys(this.#prefix, head.token, document)));
    this.#garbage = this.#garbage.filter((key) => !named.has(key));
  }

  /** What cannot be deleted now is tried again after the next publication. */
  async #tidy(signal: AbortSignal): Promise<void> {
    const keys = this.#garbage;
    this.#garbage = [];
    for (const [i, key] of keys.entries()) {
      try {
        await this.#state.delete(key, { signal });
      } catch {
        this.#garbage.push(...keys.slice(i));
        return;
      }
    }
  }
}
