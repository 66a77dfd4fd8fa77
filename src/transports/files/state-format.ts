/**
 * The bytes of a commit and of a snapshot.
 *
 * Header, 40 bytes: magic `EKST`, format 1, kind, two bytes of zero; CRC-32 of all that stands before and after it; length of the body; the
 * epoch, 16 bytes; the first revision of a commit, or the revision a snapshot shows. Then the entries. All numbers are little-endian;
 * revisions and durations are doubles, exact up to 2^53.
 */
import { crc32 } from 'node:zlib';
import { EvenkeelError } from '../../core/errors.js';
import type { StateRecord } from '../../core/internal/state-watch.js';

/** What one entry of a commit does. Each has a revision of its own, one above that of the entry before it. */
export type CommitEntry =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array; readonly leaseMs: number | undefined }
  | { readonly type: 'delete' | 'expired'; readonly key: string };

export interface Commit {
  readonly epoch: string;
  readonly firstRevision: number;
  readonly entries: readonly CommitEntry[];
}

export interface Snapshot {
  readonly epoch: string;
  readonly revision: number;
  readonly records: readonly StateRecord[];
}

const MAGIC = Buffer.from('EKST');
const FORMAT = 1;
const KIND_COMMIT = 1;
const KIND_SNAPSHOT = 2;
const CRC_AT = 8;
const LENGTH_AT = 12;
const EPOCH_AT = 16;
const REVISION_AT = 32;
const HEADER_BYTES = 40;
/** Type, key length, value length, lease, revision. */
const ENTRY_BYTES = 1 + 2 + 4 + 8 + 8;
const TYPES = ['put', 'delete', 'expired'] as const;
const NO_VALUE = new Uint8Array(0);

export function encodeCommit({ epoch, firstRevision, entries }: Commit): Uint8Array {
  const rows = entries.map((entry, i) => ({
    type: TYPES.indexOf(entry.type),
    key: Buffer.from(entry.key),
    value: entry.type === 'put' ? entry.value : NO_VALUE,
    leaseMs: (entry.type === 'put' ? entry.leaseMs : undefined) ?? 0,
    revision: firstRevision + i,
  }));
  return encode(KIND_COMMIT, epoch, firstRevision, rows);
}

export function encodeSnapshot({ epoch, revision, records }: Snapshot): Uint8Array {
  const rows = records.map((record) => ({
    type: 0,
    key: Buffer.from(record.key),
    value: record.value,
    leaseMs: record.leaseMs ?? 0,
    revision: record.revision,
  }));
  return encode(KIND_SNAPSHOT, epoch, revision, rows);
}

/** @throws {EvenkeelError} `data-loss` for bytes that are not a whole commit. `path` is for the message. */
export function decodeCommit(bytes: Uint8Array, path: string): Commit {
  const { epoch, revision, rows } = decode(bytes, KIND_COMMIT, path);
  const entries = rows.map(({ type, key, value, leaseMs }): CommitEntry => {
    return type === 'put' ? { type, key, value, leaseMs: leaseMs === 0 ? undefined : leaseMs } : { type, key };
  });
  return { epoch, firstRevision: revision, entries };
}

/** @throws {EvenkeelError} `data-loss` for bytes that are not a whole snapshot. */
export function decodeSnapshot(bytes: Uint8Array, path: string): Snapshot {
  const { epoch, revision, rows } = decode(bytes, KIND_SNAPSHOT, path);
  const records = rows.map(({ key, value, leaseMs, revision: at }) => {
    return { key, value, revision: at, leaseMs: leaseMs === 0 ? undefined : leaseMs };
  });
  return { epoch, revision, records };
}

interface Row {
  readonly type: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly leaseMs: number;
  readonly revision: number;
}

function encode(kind: number, epoch: string, revision: number, rows: readonly Row[]): Uint8Array {
  const body = rows.reduce((sum, { key, value }) => sum + ENTRY_BYTES + key.byteLength + value.byteLength, 0);
  const bytes = Buffer.alloc(HEADER_BYTES + body);
  bytes.set(MAGIC);
  bytes.writeUInt8(FORMAT, 4);
  bytes.writeUInt8(kind, 5);
  bytes.writeUInt32LE(body, LENGTH_AT);
  bytes.write(epoch, EPOCH_AT, 'hex');
  bytes.writeDoubleLE(revision, REVISION_AT);
  let at = HEADER_BYTES;
  for (const { type, key, value, leaseMs, revision: own } of rows) {
    bytes.writeUInt8(type, at);
    bytes.writeUInt16LE(key.byteLength, at + 1);
    bytes.writeUInt32LE(value.byteLength, at + 3);
    bytes.writeDoubleLE(leaseMs, at + 7);
    bytes.writeDoubleLE(own, at + 15);
    bytes.set(key, at + ENTRY_BYTES);
    bytes.set(value, at + ENTRY_BYTES + key.byteLength);
    at += ENTRY_BYTES + key.byteLength + value.byteLength;
  }
  bytes.writeUInt32LE(checksumOf(bytes), CRC_AT);
  return bytes;
}

function decode(content: Uint8Array, kind: number, path: string) {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const isOurs = bytes.byteLength >= HEADER_BYTES && MAGIC.equals(bytes.subarray(0, 4)) && bytes.readUInt8(5) === kind;
  if (!isOurs) throw damaged(path, 'it does not begin as it should');
  if (bytes.readUInt8(4) !== FORMAT) {
    throw new EvenkeelError('unimplemented', `${path} has format ${bytes.readUInt8(4)}; this version reads ${FORMAT}`);
  }
  if (bytes.readUInt32LE(LENGTH_AT) !== bytes.byteLength - HEADER_BYTES) throw damaged(path, 'it is cut short, or too long');
  if (bytes.readUInt32LE(CRC_AT) !== checksumOf(bytes)) throw damaged(path, 'its checksum is wrong');
  // From here on the bytes are those that were written.
  const rows = [];
  for (let at = HEADER_BYTES; at < bytes.byteLength; ) {
    const keyAt = at + ENTRY_BYTES;
    const valueAt = keyAt + bytes.readUInt16LE(at + 1);
    const end = valueAt + bytes.readUInt32LE(at + 3);
    rows.push({
      type: TYPES[bytes.readUInt8(at)] as (typeof TYPES)[number],
      key: bytes.toString('utf8', keyAt, valueAt),
      value: new Uint8Array(bytes.subarray(valueAt, end)),
      leaseMs: bytes.readDoubleLE(at + 7),
      revision: bytes.readDoubleLE(at + 15),
    });
    at = end;
  }
  return { epoch: bytes.toString('hex', EPOCH_AT, EPOCH_AT + 16), revision: bytes.readDoubleLE(REVISION_AT), rows };
}

function checksumOf(bytes: Buffer): number {
  return crc32(bytes.subarray(CRC_AT + 4), crc32(bytes.subarray(0, CRC_AT)));
}

function damaged(path: string, why: string): EvenkeelError {
  return new EvenkeelError('data-loss', `${path} is damaged: ${why}`, { details: { path } });
}
