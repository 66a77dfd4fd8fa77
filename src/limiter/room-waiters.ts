/** Those who would begin more work and wait until there is room: the readers of queues and streams. */
export class RoomWaiters {
  readonly #waiting = new Set<RoomWaiter>();
  readonly #onLeft: () => void;

  /** @param onLeft - One went away unserved: there may be room for the next, who wants less. */
  constructor(onLeft: () => void) {
    this.#onLeft = onLeft;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** What the first of them waits for; 1 where nobody waits. */
  get nextWeight(): number {
    const [first] = this.#waiting;
    return first?.weight ?? 1;
  }

  wait(weight: number, signal: AbortSignal | undefined, cancelled: () => Error): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled());
      const waiter: RoomWaiter = {
        weight,
        settle: (error) => {
          this.#waiting.delete(waiter);
          signal?.removeEventListener('abort', onAbort);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const onAbort = () => {
        waiter.settle(cancelled());
        this.#onLeft();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
    });
  }

  /** One for each permit that comes free: all at once would find one permit between them. */
  wakeOne(): void {
    const [first] = this.#waiting;
    first?.settle();
  }

  fail(error: Error): void {
    for (const waiter of this.#waiting) waiter.settle(error);
  }
}

interface RoomWaiter {
  readonly weight: number;
  settle(error?: Error): void;
}
