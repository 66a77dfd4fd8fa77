/**
 * The copy of a table on disk: `<sha256> {"v":1,"name":…,"savedAt":…}`, a line feed, the table.
 *
 * Is it trustworthy? Only whole, and only to the resolver of that name: the checksum covers everything behind it.
 */
import { createHash } from 'node:crypto';
import type { ResolverRuntime } from '../../core/resolver.js';
import { asNumber, asString, decoding, malformed, parseDocument } from './document-fields.js';
import type { RoutingTable } from './routing-table.js';
import { decodeTable, encodeTable } from './table-codec.js';

/** A hundred thousand endpoints take a few megabytes. */
const MAX_TABLE_CACHE_BYTES = 64 * 1024 * 1024;
/** A file is written at most this often. */
const SAVE_EVERY_MS = 60_000;
/** So that the age of a table that never changes stays honest over a restart. */
const RESAVE_MS = 600_000;
const CHECKSUM_LENGTH = 64;
const LINE_FEED = 10;
const MAX_NAME_LENGTH = 4096;

export interface CachedTable {
  readonly table: RoutingTable;
  /** Clock.wallTime() when it was known to hold. */
  readonly savedAt: number;
}

/** @param name - Of the resolver. */
export function encodeCachedTable(name: string, { table, savedAt }: CachedTable): Uint8Array {
  const head = Buffer.from(`${JSON.stringify({ v: 1, name, savedAt })}\n`);
  const body = Buffer.concat([head, encodeTable(table)]);
  return Buffer.concat([Buffer.from(`${checksumOf(body)} `), body]);
}

/** @throws {EvenkeelError} `invalid-argument` for anything but a whole copy of that name. */
export function decodeCachedTable(name: string, bytes: Uint8Array): CachedTable {
  const what = 'cached routing table';
  return decoding(what, () => {
    const body = bytes.subarray(CHECKSUM_LENGTH + 1);
    const checksum = new TextDecoder('latin1').decode(bytes.subarray(0, CHECKSUM_LENGTH));
    if (checksum !== checksumOf(body)) throw malformed(what, 'its checksum does not hold');
    const end = body.indexOf(LINE_FEED);
    const head = parseDocument(what, body.subarray(0, end));
    if (asString('name', head.name, MAX_NAME_LENGTH) !== name) throw malformed(what, `it belongs to ${head.name}, not ${name}`);
    return { table: decodeTable(body.subarray(end + 1)), savedAt: asNumber('savedAt', head.savedAt) };
  });
}

function checksumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The file of one resolver. What goes wrong is reported, and the resolver does without. */
export class TableFile {
  readonly #name: string;
  readonly #path: string;
  readonly #runtime: ResolverRuntime;
  #savedAt = Number.NEGATIVE_INFINITY;
  #saved: RoutingTable | undefined;
  #isSaving = false;

  constructor(name: string, path: string, runtime: ResolverRuntime) {
    this.#name = name;
    this.#path = path;
    this.#runtime = runtime;
  }

  async load(): Promise<CachedTable | undefined> {
    try {
      const bytes = await this.#runtime.host.readFile(this.#path, MAX_TABLE_CACHE_BYTES);
      return bytes && decodeCachedTable(this.#name, bytes);
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  /** An empty table would help nobody; the copy on disk may. */
  saveIfDue(table: RoutingTable): void {
    const { clock } = this.#runtime;
    if (this.#isSaving || table.endpoints.length === 0) return;
    if (clock.now() - this.#savedAt < (table === this.#saved ? RESAVE_MS : SAVE_EVERY_MS)) return;
    this.#savedAt = clock.now();
    this.#saved = table;
    void this.#save(table);
  }

  async #save(table: RoutingTable): Promise<void> {
    const { clock, host } = this.#runtime;
    this.#isSaving = true;
    try {
      await host.writeFile(this.#path, encodeCachedTable(this.#name, { table, savedAt: clock.wallTime() }));
    } catch (error) {
      this.#report(error);
    } finally {
      this.#isSaving = false;
    }
  }

  #report(error: unknown): void {
    this.#runtime.diagnostics.report(`resolver ${this.#name}`, error);
  }
}
