/**
 * Calls that wait for an endpoint with room: bounded, each until its deadline; first come, first served among those that the same
 * endpoints could take. A shard without room holds up nobody else's calls.
 */
import type { RoutedCall } from './routed-call.js';

export class WaitingCalls {
  /** By shard, those for any endpoint under undefined; none of them empty. */
  readonly #lines = new Map<string | undefined, Set<RoutedCall>>();
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
    let line = this.#lines.get(call.shard);
    if (line === undefined) {
      line = new Set();
      this.#lines.set(call.shard, line);
    }
    line.add(call);
    this.size++;
    return true;
  }

  remove(call: RoutedCall): void {
    const line = this.#lines.get(call.shard);
    if (line?.delete(call) !== true) return;
    this.size--;
    if (line.size === 0) this.#lines.delete(call.shard);
  }

  /**
   * There may be room: sends the first ones of each line, in order, until one finds none. What a call sets off on its way (a listener,
   * an extension) may make room again, and ends up here: that is for the run that is under way.
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
        for (const line of this.#lines.values()) {
          for (const call of line) {
            if (!call.tryDispatch(now)) break;
            this.remove(call);
          }
        }
      } while (this.#hasRoomAgain);
    } finally {
      this.#isSending = false;
    }
  }

  all(): RoutedCall[] {
    return [...this.#lines.values()].flatMap((line) => [...line]);
  }
}
