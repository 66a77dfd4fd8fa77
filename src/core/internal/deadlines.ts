/** Which key runs out next? At most one deadline a key; setting and taking cost O(log n). */
import { BinaryHeap } from './binary-heap.js';

interface Ticket<K> {
  readonly key: K;
  readonly at: number;
}

export class Deadlines<K> {
  readonly #at = new Map<K, number>();
  readonly #tickets = new BinaryHeap<Ticket<K>>((a, b) => a.at < b.at);

  set(key: K, at: number): void {
    this.#at.set(key, at);
    this.#tickets.push({ key, at });
    // Tickets of moved deadlines stay until they come up; renewals of a long lease must not pile them up.
    if (this.#tickets.size > 64 && this.#tickets.size > 2 * this.#at.size)
      this.#tickets.retain((ticket) => this.#isValid(ticket));
  }

  delete(key: K): void {
    this.#at.delete(key);
  }

  get(key: K): number | undefined {
    return this.#at.get(key);
  }

  clear(): void {
    this.#at.clear();
  }

  /** The earliest deadline. */
  next(): number | undefined {
    for (;;) {
      const ticket = this.#tickets.peek();
      if (ticket === undefined || this.#isValid(ticket)) return ticket?.at;
      this.#tickets.pop();
    }
  }

  /** Removes and returns the key whose deadline was first, if it has passed. */
  takeDue(now: number): Ticket<K> | undefined {
    const next = this.next();
    if (next === undefined || next > now) return undefined;
    const ticket = this.#tickets.pop();
    if (ticket !== undefined) this.#at.delete(ticket.key);
    return ticket;
  }

  #isValid(ticket: Ticket<K>): boolean {
    return this.#at.get(ticket.key) === ticket.at;
  }
}
