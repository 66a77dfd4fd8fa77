/**
 * Time that passes when it is told to: for tests and simulation.
 *
 * Timers fire in order of (time, sequence of creation). Between two of them all asynchronous code comes to rest: each fires in an
 * immediate of its own, and Node empties promise jobs and nextTick queues, of any depth, before the next immediate; hops by microtask
 * do not (a chain through process.nextTick outlives them). Up to {@link MOST_A_TURN} share a turn of the event loop, which costs more
 * than all else: four times as many events as with a turn for each. Work handed to the thread pool, to the network or to setImmediate is
 * outside virtual time and is not waited for.
 */
import { type Clock, sleepOn, type Timer } from './clock.js';
import { checkNumber } from './errors.js';
import { BinaryHeap } from './internal/binary-heap.js';

export interface VirtualClock extends Clock {
  /** Fires everything due within the next `ms`, in order, then stands at now + ms. Rejects with what a timer's callback threw. */
  advance(ms: number): Promise<void>;
  /** Fires timers until none is left or `untilMs` (absolute) is reached. Resolves with the number fired. */
  run(untilMs?: number): Promise<number>;
  /** As `run`, without letting promises come to rest in between: for pure callback code, some four times faster. */
  runSync(untilMs?: number): number;
  /** Lets asynchronous code come to rest; time stands. */
  settle(): Promise<void>;
  /** Moves the calendar, not the monotonic time. */
  jumpWallTime(ms: number): void;
  /** Timers that have neither fired nor been cancelled. */
  readonly pending: number;
}

export interface VirtualClockOptions {
  /** Where `wallTime()` starts. Default 2026-01-01T00:00:00Z. */
  wallTimeMs?: number;
}

/** Timers fired in one turn of the event loop. */
const MOST_A_TURN = 64;
const DEFAULT_WALL_TIME_MS = Date.UTC(2026, 0, 1);

export function virtualClock(options: VirtualClockOptions = {}): VirtualClock {
  return new SteppedClock(options.wallTimeMs ?? DEFAULT_WALL_TIME_MS);
}

class VirtualTimer implements Timer {
  isLive = true;
  constructor(
    readonly dueMs: number,
    readonly sequence: number,
    readonly fire: () => void,
    readonly onCancel: () => void,
  ) {}

  cancel(): void {
    if (!this.isLive) return;
    this.isLive = false;
    this.onCancel();
  }
}

class SteppedClock implements VirtualClock {
  #now = 0;
  #wallOffset: number;
  #sequence = 0;
  #live = 0;
  readonly #timers = new BinaryHeap<VirtualTimer>(
    (a, b) => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence),
  );

  constructor(wallTimeMs: number) {
    this.#wallOffset = wallTimeMs;
  }

  now(): number {
    return this.#now;
  }

  coarse(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#wallOffset + this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  timer(ms: number, fire: () => void): Timer {
    checkNumber('ms', ms, 0);
    const timer = new VirtualTimer(this.#now + ms, this.#sequence++, fire, this.#onCancel);
    this.#timers.push(timer);
    this.#live++;
    return timer;
  }

  get pending(): number {
    return this.#live;
  }

  async advance(ms: number): Promise<void> {
    checkNumber('ms', ms, 0);
    const until = this.#now + ms;
    await this.run(until);
    this.#now = until;
  }

  run(untilMs = Number.POSITIVE_INFINITY): Promise<number> {
    return new Promise((resolve, reject) => {
      let fired = 0;
      let size = 1;
      let left = 0;
      let isOver = false;
      const turn = () => {
        // A short run leaves few immediates behind that have nothing to do.
        size = Math.min(2 * size, MOST_A_TURN);
        left = size;
        for (let i = 0; i < size; i++) setImmediate(step);
      };
      const step = () => {
        if (isOver) return;
        try {
          isOver = !this.#fireNext(untilMs);
        } catch (error) {
          isOver = true;
          reject(error);
        }
        if (isOver) return resolve(fired);
        fired++;
        if (--left === 0) turn();
      };
      turn();
    });
  }

  runSync(untilMs = Number.POSITIVE_INFINITY): number {
    let fired = 0;
    while (this.#fireNext(untilMs)) fired++;
    return fired;
  }

  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  jumpWallTime(ms: number): void {
    this.#wallOffset += ms;
  }

  #fireNext(untilMs: number): boolean {
    for (;;) {
      const timer = this.#timers.peek();
      if (timer === undefined || timer.dueMs > untilMs) return false;
      this.#timers.pop();
      if (!timer.isLive) continue;
      timer.isLive = false;
      this.#live--;
      this.#now = timer.dueMs;
      timer.fire();
      return true;
    }
  }

  /** Cancelled timers stay in the heap until they come up or outnumber the live ones. */
  readonly #onCancel = (): void => {
    this.#live--;
    if (this.#timers.size > 64 && this.#timers.size > 2 * this.#live) this.#timers.retain((timer) => timer.isLive);
  };
}
