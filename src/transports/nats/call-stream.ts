/** One direction of a call that streams: the sending end, held back by credit, and the receiving end, which gives it. */
import { type BodyTarget, Pipe } from '../../core/internal/body-pipe.js';
import { encodeFrame, FRAME, PIECE_BYTES, PieceCounter, WINDOW_BYTES } from './call-frames.js';

/** What a stream is sent through: one frame, to the other side of the call. */
export type SendFrame = (frame: Uint8Array) => void;

export class OutgoingBody implements BodyTarget {
  readonly #send: SendFrame;
  readonly #onEnd: (pieces: number) => void;
  #credit = WINDOW_BYTES;
  #pieces = 0;
  #isOver = false;
  #onRoom: (() => void) | undefined;

  /** @param onEnd - Sends the end; it may have more to say than that. */
  constructor(send: SendFrame, onEnd: (pieces: number) => void) {
    this.#send = send;
    this.#onEnd = onEnd;
  }

  room(): Promise<void> | undefined {
    if (this.#credit > 0 || this.#isOver) return undefined;
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  write(piece: Uint8Array): void {
    if (this.#isOver || piece.byteLength === 0) return;
    this.#credit -= piece.byteLength;
    this.#send(encodeFrame(FRAME.data, this.#pieces++, piece));
  }

  end(): void {
    if (!this.#isOver) this.#onEnd(this.#pieces);
  }

  credit(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, WINDOW_BYTES);
    this.#wake();
  }

  /** The call is over: nothing more is sent, and whoever waits for room goes on. */
  stop(): void {
    this.#isOver = true;
    this.#wake();
  }

  #wake(): void {
    const wake = this.#onRoom;
    this.#onRoom = undefined;
    wake?.();
  }
}

export class IncomingBody extends Pipe {
  readonly #counter = new PieceCounter();
  readonly #owed: Owed;

  constructor(send: SendFrame) {
    const owed = new Owed(send);
    super((bytes) => owed.add(bytes));
    this.#owed = owed;
  }

  /** False when a piece before it is missing, or the sender goes on beyond its credit. */
  receive(number: number, bytes: Uint8Array): boolean {
    const order = this.#counter.take(number);
    if (order !== 'next') return order === 'again';
    if (!this.#owed.takes(bytes.byteLength)) return false;
    // A copy: the bytes are a view of what the socket read, and would keep all of it.
    this.write(new Uint8Array(bytes));
    return true;
  }

  /** False when pieces are missing. */
  finish(pieces: number): boolean {
    if (pieces !== this.#counter.expected) return false;
    this.#owed.stop();
    this.end();
    return true;
  }

  /** The call is over: the sender is told no more. */
  stop(): void {
    this.#owed.stop();
  }
}

/** Bytes taken and not yet told: half a window at a time, so that a stream does not double the messages. */
class Owed {
  readonly #send: SendFrame;
  #bytes = 0;
  /** Received and not yet told. */
  #held = 0;
  #isOver = false;

  constructor(send: SendFrame) {
    this.#send = send;
  }

  takes(bytes: number): boolean {
    this.#held += bytes;
    return this.#held < WINDOW_BYTES + PIECE_BYTES;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#isOver || this.#bytes < WINDOW_BYTES / 2) return;
    this.#send(encodeFrame(FRAME.credit, this.#bytes));
    this.#held -= this.#bytes;
    this.#bytes = 0;
  }

  stop(): void {
    this.#isOver = true;
  }
}
