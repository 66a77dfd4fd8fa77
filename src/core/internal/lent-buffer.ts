/** The one buffer that a blob's writer lends, again and again: what is in it is copied before the next is lent. */
import { checkInteger, EvenkeelError } from '../errors.js';

const BUFFER_BYTES = 256 * 1024;

export class LentBuffer {
  #bytes: Uint8Array | undefined;
  #isLent = false;

  /** @throws {EvenkeelError} `failed-precondition` when it is lent. */
  lend(): Uint8Array {
    if (this.#isLent) throw new EvenkeelError('failed-precondition', 'the buffer lent last has not been written yet');
    this.#isLent = true;
    this.#bytes ??= new Uint8Array(BUFFER_BYTES);
    return this.#bytes;
  }

  /**
   * Its first `n` bytes, still lent: a view.
   * @throws {EvenkeelError} `failed-precondition` when it is not lent; `invalid-argument` for more than it holds.
   */
  filled(n: number): Uint8Array {
    if (!this.#isLent || this.#bytes === undefined) throw new EvenkeelError('failed-precondition', 'no buffer is lent');
    return this.#bytes.subarray(0, checkInteger('n', n, 0, this.#bytes.byteLength));
  }

  /** The borrower is done with it. */
  takeBack(): void {
    this.#isLent = false;
  }

  /** Frees the memory. */
  drop(): void {
    this.#bytes = undefined;
  }
}
