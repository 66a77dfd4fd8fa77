/** Calls that wait for an endpoint with room: first come, first served, bounded, each until its deadline. */
import type { RoutedCall } from './routed-call.js';

export class WaitingCalls {
  readonly #calls = new Set<RoutedCall>();
  readonly #limit: number;
  /** How many; read at the end of every call. */
  size = 0;

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

  /** There may be room: sends the first ones, in order, until one finds none. */
  send(now: number): void {
    for (const call of this.#calls) {
      if (!call.tryDispatch(now)) return;
      this.remove(call);
    }
  }

  all(): RoutedCall[] {
    return [...this.#calls];
  }
}
