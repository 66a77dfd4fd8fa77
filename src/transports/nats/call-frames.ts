/**
 * The messages of a call, in binary: what kind, a flag or two, one number, and bytes. Heads are JSON, flat as header lists are.
 *
 * Core NATS delivers in order or not at all; pieces are numbered, so that one that is missing, or came twice, shows.
 */
import { EvenkeelError } from '../../core/errors.js';
import type { CallBody } from '../../core/transport/call.js';

export const FRAME = {
  /** Number: length of the head, `[path, method, ...headers]`; behind it the body, when `LAST` says that it is whole. */
  request: 1,
  /** The server has the call, and takes the body. */
  accept: 2,
  /** Number: which piece, from 0. */
  data: 3,
  /** Number: how many pieces there were. Bytes: trailers. */
  end: 4,
  /** Number: bytes that the other side may send more. */
  credit: 5,
  /** Number: length of the head, `[status, headers, trailers]`; behind it the body, when `LAST` says that it is whole. */
  response: 6,
  /** The call is over. Bytes: the error's code, for people. */
  error: 7,
  /** The server did nothing, and will not: the call may go elsewhere. */
  refuse: 8,
  cancel: 9,
  /** Is there still somebody? The reply's absence is the answer. */
  ping: 10,
  pong: 11,
} as const;

type FrameKind = (typeof FRAME)[keyof typeof FRAME];

/** The body is behind the head, whole. */
export const LAST = 1;

/** Bytes that one side may have sent and the other not yet taken. */
export const WINDOW_BYTES = 256 * 1024;
/** The largest piece of a stream. */
export const PIECE_BYTES = 64 * 1024;
/** A body sent whole, behind its head; well below the 1 MiB that servers take by default. */
const MAX_WHOLE_BYTES = 256 * 1024;

/** Bytes of a piece, for a server that takes `maxPayload` bytes in a message. */
export function pieceBytes(maxPayload: number): number {
  return Math.min(PIECE_BYTES, Math.max(1, maxPayload >> 1));
}

/** True for a body that goes behind its head, in one message: there is room for the head beside it. */
export function isWhole(body: CallBody | undefined, maxPayload: number): body is string | Uint8Array | undefined {
  if (body === undefined) return true;
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return false;
  return Buffer.byteLength(body) <= Math.min(MAX_WHOLE_BYTES, maxPayload >> 2);
}

/** Where the frames of calls go that have begun. */
export function followSubject(subject: string): string {
  return `${subject}.io`;
}

const HEAD_BYTES = 6;
const NOTHING = new Uint8Array(0);

export interface Frame {
  readonly kind: number;
  readonly isLast: boolean;
  readonly number: number;
  readonly bytes: Uint8Array;
}

export function encodeFrame(kind: FrameKind, number = 0, bytes: Uint8Array = NOTHING): Uint8Array {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + bytes.byteLength);
  frame.writeUInt8(kind, 0);
  frame.writeUInt8(0, 1);
  frame.writeUInt32LE(number, 2);
  frame.set(bytes, HEAD_BYTES);
  return frame;
}

/** A head, and the whole body behind it; `body` undefined: it follows in pieces. */
export function encodeHead(kind: 1 | 6, head: readonly unknown[], body: Uint8Array | string | undefined): Uint8Array {
  const json = JSON.stringify(head);
  const headBytes = Buffer.byteLength(json);
  const bodyBytes = body === undefined ? 0 : Buffer.byteLength(body as string);
  const frame = Buffer.allocUnsafe(HEAD_BYTES + headBytes + bodyBytes);
  frame.writeUInt8(kind, 0);
  frame.writeUInt8(body === undefined ? 0 : LAST, 1);
  frame.writeUInt32LE(headBytes, 2);
  frame.write(json, HEAD_BYTES);
  if (typeof body === 'string') frame.write(body, HEAD_BYTES + headBytes);
  else if (body !== undefined) frame.set(body, HEAD_BYTES + headBytes);
  return frame;
}

/** Undefined for what is no frame. The bytes are a view of `data`. */
export function decodeFrame(data: Uint8Array): Frame | undefined {
  if (data.byteLength < HEAD_BYTES) return undefined;
  const kind = data[0] as number;
  const isLast = ((data[1] as number) & LAST) !== 0;
  const number = ((data[2] as number) | ((data[3] as number) << 8) | ((data[4] as number) << 16)) + (data[5] as number) * 2 ** 24;
  return { kind, isLast, number, bytes: data.subarray(HEAD_BYTES) };
}

/**
 * The head of a request or response frame, and the body behind it, copied.
 * @throws {EvenkeelError} `internal` when it is none.
 */
export function decodeHead(frame: Frame): { head: unknown[]; body: Uint8Array } {
  const { number, bytes } = frame;
  try {
    const head: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, number).toString());
    if (Array.isArray(head) && number <= bytes.byteLength) return { head, body: new Uint8Array(bytes.subarray(number)) };
  } catch {
    // Reported below.
  }
  throw new EvenkeelError('internal', 'a message that is no head of a call');
}

/** Counts numbered pieces: `next` is fine, `again` came before, `gap` means that one is missing. */
export class PieceCounter {
  expected = 0;

  take(number: number): 'next' | 'again' | 'gap' {
    if (number === this.expected) {
      this.expected++;
      return 'next';
    }
    return number < this.expected ? 'again' : 'gap';
  }
}
