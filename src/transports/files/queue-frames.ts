/**
 * The files of a queue's log as bytes: a header, then frames, each with its checksum.
 *
 * Header, 20 bytes: magic `EKQU`, format 1, kind, two bytes of zero; the sequence number of the first frame (of a snapshot: of the
 * first frame it does not show); CRC-32 of those 16 bytes. A frame: length of what follows the checksum; CRC-32 of it; type, one byte;
 * payload. Numbers are little-endian; ids, fences, times and sequence numbers are doubles, exact up to 2^53.
 */
import { crc32 } from 'node:zlib';
import { EvenkeelError } from '../../core/errors.js';

export type QueueFileKind = 'segment' | 'snapshot';

export interface Frame {
  readonly type: number;
  readonly payload: FrameReader;
  /** Where the next frame begins. */
  readonly end: number;
}

export const HEADER_BYTES = 20;
const FRAME_BYTES = 9;
const MAGIC = Buffer.from('EKQU');
const FORMAT = 1;
const KINDS: readonly QueueFileKind[] = ['segment', 'snapshot'];

export function encodeHeader(kind: QueueFileKind, lsn: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.set(MAGIC);
  bytes.writeUInt8(FORMAT, 4);
  bytes.writeUInt8(KINDS.indexOf(kind), 5);
  bytes.writeDoubleLE(lsn, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 16)), 16);
  return bytes;
}

/** @throws {EvenkeelError} `unimplemented` for a whole header of another format. */
export function isHeader(bytes: Buffer, kind: QueueFileKind, lsn: number): boolean {
  if (bytes.byteLength < HEADER_BYTES || bytes.readUInt32LE(16) !== crc32(bytes.subarray(0, 16))) return false;
  if (MAGIC.equals(bytes.subarray(0, 4)) && bytes.readUInt8(4) !== FORMAT) {
    throw new EvenkeelError('unimplemented', `the queue has format ${bytes.readUInt8(4)}; this version reads ${FORMAT}`);
  }
  return bytes.subarray(0, 16).equals(encodeHeader(kind, lsn).subarray(0, 16));
}

/** The frame that begins at `at`; undefined when there is none, or not a whole one. */
export function frameAt(bytes: Buffer, at: number): Frame | undefined {
  if (at + FRAME_BYTES > bytes.byteLength) return undefined;
  const end = at + FRAME_BYTES - 1 + bytes.readUInt32LE(at);
  if (end < at + FRAME_BYTES || end > bytes.byteLength) return undefined;
  if (bytes.readUInt32LE(at + 4) !== crc32(bytes.subarray(at + FRAME_BYTES - 1, end))) return undefined;
  return { type: bytes.readUInt8(at + FRAME_BYTES - 1), payload: new FrameReader(bytes, at + FRAME_BYTES, end), end };
}

/** Builds one frame; the payload's bytes are counted beforehand. */
export class FrameWriter {
  readonly #bytes: Buffer;
  #at = FRAME_BYTES;

  constructor(type: number, payloadBytes: number) {
    this.#bytes = Buffer.allocUnsafe(FRAME_BYTES + payloadBytes);
    this.#bytes.writeUInt32LE(1 + payloadBytes, 0);
    this.#bytes.writeUInt8(type, FRAME_BYTES - 1);
  }

  count(value: number): this {
    this.#at = this.#bytes.writeUInt32LE(value, this.#at);
    return this;
  }

  number(value: number): this {
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#bytes.set(value, this.#at);
    this.#at += value.byteLength;
    return this;
  }

  text(value: string): this {
    this.#at += this.#bytes.write(value, this.#at);
    return this;
  }

  /** The frame, with its checksum. */
  end(): Buffer {
    this.#bytes.writeUInt32LE(crc32(this.#bytes.subarray(FRAME_BYTES - 1)), 4);
    return this.#bytes;
  }
}

/** Reads a payload in the order in which it was written. */
export class FrameReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  count(): number {
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }

  number(): number {
    this.#at += 8;
    return this.#bytes.readDoubleLE(this.#at - 8);
  }

  /** A copy: a body must not keep the file it was read from in memory. */
  bytes(length: number): Uint8Array {
    this.#at += length;
    return new Uint8Array(this.#bytes.subarray(this.#at - length, this.#at));
  }

  text(length = this.#end - this.#at): string {
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }
}

const MARK_TYPE = 0;
const MARK_TEXT = Buffer.from('synced:)');

/**
 * A frame which says that all before it was synced before it was written. Behind a bad frame it tells damage from a write that a
 * crash cut off. It carries its own place, so that no body of an item passes for one by chance.
 */
export function encodeMark(firstLsn: number, at: number): Buffer {
  return new FrameWriter(MARK_TYPE, 24).bytes(MARK_TEXT).number(firstLsn).number(at).end();
}

export function isMark(frame: Frame): boolean {
  return frame.type === MARK_TYPE;
}

/** Whether a whole mark of this segment stands at `from` or behind it. */
export function hasMarkFrom(bytes: Buffer, from: number, firstLsn: number): boolean {
  for (let found = bytes.indexOf(MARK_TEXT, from); found !== -1; found = bytes.indexOf(MARK_TEXT, found + 1)) {
    const at = found - FRAME_BYTES;
    if (at >= 0 && encodeMark(firstLsn, at).equals(bytes.subarray(at, found + 24))) return true;
  }
  return false;
}
