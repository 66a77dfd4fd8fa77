/**
 * Puts a service's table together from what stands under its prefix, in whatever order that arrives.
 *
 * When is a table given out? When the head names it and every document between the last one given out and that is there, whole. Until
 * then the last one stays. Never an older one after a newer, within one history of the store.
 */
import { malformed } from './document-fields.js';
import { decodeHead, headKey, pieceKeys, type RibDocument, type RibHead, tokenOf } from './rib-keys.js';
import { emptyTable, isNewer, type RoutingTable } from './routing-table.js';
import { checksumIn, decodeDelta } from './table-codec.js';
import { applyDelta } from './table-delta.js';

/** Of pieces that no head has named yet; more is somebody's mistake. */
const MAX_HELD_BYTES = 128 * 1024 * 1024;

export class TableAssembler {
  readonly #segment: string;
  readonly #prefix: string;
  readonly #pieces = new Map<string, Uint8Array>();
  #heldBytes = 0;
  #head: RibHead | undefined;
  #table: RoutingTable | undefined;

  constructor(segment: string, prefix: string) {
    this.#segment = segment;
    this.#prefix = prefix;
  }

  get table(): RoutingTable | undefined {
    return this.#table;
  }

  get head(): RibHead | undefined {
    return this.#head;
  }

  /** There is a newer table than the one given out, and parts of it are missing. */
  get isBehind(): boolean {
    return this.#head !== undefined && (this.#table === undefined || isNewer(this.#head, this.#table));
  }

  /** @throws {EvenkeelError} `invalid-argument` for a head that is none: the one before stays. */
  put(key: string, value: Uint8Array): void {
    if (key === headKey(this.#prefix)) {
      const head = decodeHead(value);
      if (this.#head === undefined || !isNewer(this.#head, head)) this.#head = head;
      return;
    }
    this.forget(key);
    if (this.#heldBytes + value.length > MAX_HELD_BYTES)
      throw malformed(key, `more than ${MAX_HELD_BYTES} bytes that no head names`);
    this.#pieces.set(key, value);
    this.#heldBytes += value.length;
  }

  /** What is gone. Without a head the table stays: the next head is of a higher version. */
  forget(key: string): void {
    if (key === headKey(this.#prefix)) this.#head = undefined;
    this.#heldBytes -= this.#pieces.get(key)?.length ?? 0;
    this.#pieces.delete(key);
  }

  /** The store's history begins anew: what is newer is no longer known. */
  restart(): void {
    this.#head = undefined;
    this.#table = undefined;
  }

  /**
   * The newer table when there is one and it is complete; undefined otherwise.
   * @throws {EvenkeelError} `invalid-argument` when it is damaged; it is given up, and the last one stays.
   */
  advance(): RoutingTable | undefined {
    const head = this.#head;
    if (head === undefined) return undefined;
    if (this.#table !== undefined && !isNewer(head, this.#table)) {
      this.#tidy(head);
      return undefined;
    }
    const needed = this.#needed(head);
    const parts = needed.map((document) => this.#partsOf(head, document));
    if (parts.some((pieces) => pieces === undefined)) return undefined;
    let table = needed[0]?.from === 0 ? emptyTable(this.#segment) : (this.#table as RoutingTable);
    for (const [i, document] of needed.entries()) {
      const bytes = joined(parts[i] as Uint8Array[]);
      if (checksumIn(bytes) !== document.checksum)
        throw malformed(this.#prefix, `version ${document.version} is not the one the head names`);
      const delta = decodeDelta(bytes);
      if (delta.token !== head.token || delta.version !== document.version)
        throw malformed(this.#prefix, 'a document under another name');
      table = applyDelta(table, delta);
    }
    if (table.version !== head.version) throw malformed(this.#prefix, `the head of ${head.version} leads to ${table.version}`);
    this.#table = table;
    this.#tidy(head);
    return table;
  }

  /** The documents from the table that is there, or from nothing, to the head. */
  #needed({ token, documents }: RibHead): readonly RibDocument[] {
    const table = this.#table;
    if (table === undefined || table.token !== token) return documents;
    const first = documents.findIndex(({ version }) => version > table.version);
    const from = documents[first]?.from ?? 0;
    return first > 0 && from <= table.version ? documents.slice(first) : documents;
  }

  #partsOf({ token }: RibHead, document: RibDocument): Uint8Array[] | undefined {
    const pieces: Uint8Array[] = [];
    for (const key of pieceKeys(this.#prefix, token, document)) {
      const piece = this.#pieces.get(key);
      if (piece === undefined) return undefined;
      pieces.push(piece);
    }
    return pieces;
  }

  /** What is part of the table, or of an earlier one, is not needed any more; what a head is yet to name is. */
  #tidy({ token, version }: RibHead): void {
    for (const key of [...this.#pieces.keys()]) {
      const of = tokenOf(this.#prefix, key);
      const to = Number(key.slice(this.#prefix.length).split('/')[1]?.split('-')[1]);
      if (of === undefined || of < token || (of === token && !(to > version))) this.forget(key);
    }
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}
