/** Calls that wait for an endpoint with room: first come, first served, bounded, each until its deadline. */
import type { RoutedCall } from './routed-call.js';

export class WaitingCalls {
  readonly #calls = new Set<RoutedCall>();
  readonly #limit: number;
  /** How many; read at the end of every call. */
  size = 0;
  #isSending = false;
  #hasRoomAgain = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False when the queue is full. */
  add(call: RoutedCall): boolean {
    if (this.size >= this.#limit) return false;
    this.#calls.add(call);
    this.size = this.#calls.size;
    return true;
  }

  remove(call: RoutedCall): void {
    this.#calls.delete(call);
    this.size = this.#calls.size;
  }

  /**
   * There may be room: sends the first ones, in order, until one finds none. What a call sets off on its way (a listener, an
   * extension) may make room again, and ends up here: that is for the run that is under way.
   */
  send(now: number): void {
    if (this.#isSending) {
      this.#hasRoomAgain = true;
      return;
    }
    this.#isSending = true;
    try {
      do {
        this.#hasRoomAgain = false;
        for (const call of this.#calls) {
          if (!call.tryDispatch(now)) break;
          this.remove(call);
        }
      } while (this.#hasRoomAgain);
    } finally {
      this.#isSending = false;
    }
  }

  all(): RoutedCall[] {
    return [...this.#calls];
  }
}
