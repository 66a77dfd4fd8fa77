/**
 * Where a service's table stands: `rib/<service>/head` names the documents that make it, the first one the whole, the others what changed
 * since. Documents are cut into pieces: `rib/<service>/<token>/<from>-<version>/<piece>`.
 *
 * Why can no reader put together what does not belong together? A document is written once, under the term and the versions it is of,
 * and only the head says which ones count; it gives the checksum of each. The head is a document of a term (`putFenced`): a builder
 * whose term is over cannot name anything any more, and what it still writes stands under a token nobody looks at.
 */
import { MAX_STATE_BYTES } from '../../core/transport/state.js';
import { asArray, asFields, asInteger, asString, decoding, parseDocument } from './document-fields.js';
import { CHECKSUM_LENGTH } from './table-codec.js';

export const RIB_PREFIX = 'rib/';
/** Who builds. One for all services of a store. */
export const DEFAULT_RIB_LEADER_KEY = 'leaders/rib';
export const RTT_PREFIX = 'rtt/';
export const SHARDS_PREFIX = 'shards/';
export const DEMAND_PREFIX = 'demand/';
/** Below the store's limit, so that a store with a smaller one of its own, and its framing, has room. */
export const MAX_PIECE_BYTES = MAX_STATE_BYTES - 64 * 1024;
const MAX_DOCUMENTS = 1000;
const MAX_PIECES = 10_000;

export interface RibDocument {
  readonly from: number;
  readonly version: number;
  readonly pieces: number;
  readonly checksum: string;
}

export interface RibHead {
  readonly token: number;
  readonly version: number;
  /** The whole, then the deltas, each beginning where the one before ends. */
  readonly documents: readonly RibDocument[];
}

/** @param segment - The service, as one segment of a key. */
export function ribPrefix(segment: string): string {
  return `${RIB_PREFIX}${segment}/`;
}

export function headKey(prefix: string): string {
  return `${prefix}head`;
}

export function pieceKeys(prefix: string, token: number, { from, version, pieces }: RibDocument): string[] {
  return Array.from({ length: pieces }, (_, piece) => `${prefix}${token}/${from}-${version}/${piece}`);
}

/** The term a piece was written in; undefined for a key that is no piece. */
export function tokenOf(prefix: string, key: string): number | undefined {
  const token = Number(key.slice(prefix.length).split('/', 1)[0]);
  return Number.isSafeInteger(token) ? token : undefined;
}

export function cut(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += MAX_PIECE_BYTES) pieces.push(bytes.subarray(at, at + MAX_PIECE_BYTES));
  return pieces;
}

export function headValue({ version, documents }: RibHead): Record<string, unknown> {
  return { v: 1, version, documents: documents.map(({ from, version: to, pieces, checksum }) => [from, to, pieces, checksum]) };
}

/** @throws {EvenkeelError} `invalid-argument` for anything but a head. */
export function decodeHead(bytes: Uint8Array): RibHead {
  const what = 'head of a routing table';
  return decoding(what, () => {
    const document = parseDocument(what, bytes);
    const value = asFields(what, document.value);
    return {
      token: asInteger('token', document.token, 1),
      version: asInteger('version', value.version, 1),
      documents: asArray('documents', value.documents, MAX_DOCUMENTS).map((row) => {
        const [from, version, pieces, checksum] = asArray('document', row, 32);
        return {
          from: asInteger('from', from),
          version: asInteger('version', version, 1),
          pieces: asInteger('pieces', pieces, 1, MAX_PIECES),
          checksum: asString('checksum', checksum, CHECKSUM_LENGTH),
        };
      }),
    };
  });
}
