/** Calls that wait for an endpoint with room: first come, first served, bounded, each until its deadline. */
import type { RoutedCall } from './routed-call.js';

export class WaitingCalls {
  readonly #calls = new Set<RoutedCall>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** False when the queue is full. */
  add(call: RoutedCall): boolean {
    if (this.#calls.size >= this.#limit) return false;
    this.#calls.add(call);
    return true;
  }

  remove(call: RoutedCall): void {
    this.#calls.delete(call);
  }

  /** There may be room: sends the first ones, in order, until one finds none. */
  send(now: number): void {
    for (const call of this.#calls) {
      if (!call.tryDispatch(now)) return;
      this.#calls.delete(call);
    }
  }

  all(): RoutedCall[] {
    return [...this.#calls];
  }
}
