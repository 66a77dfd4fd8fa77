/**
 * Time, as a value that is passed in. The only file of the library that reads a clock or sets a timer.
 *
 * `now()` is monotonic milliseconds since an origin of this clock's own: good for durations and deadlines inside one process,
 * meaningless in another. `wallTime()` is the calendar, for people and for durable start times; it may jump and is never compared
 * between machines.
 */
import { EvenkeelError } from './errors.js';

export interface Clock {
  /** Monotonic milliseconds, sub-millisecond resolution. Costs a system clock read (some 80 ns). */
  now(): number;
  /** Monotonic milliseconds, at most 10 ms old unless the event loop was blocked for longer. Costs a field read. */
  coarse(): number;
  /** Milliseconds since 1970. */
  wallTime(): number;
  /**
   * Resolves after `ms`. `holds` as for `timer`.
   * @throws {EvenkeelError} `cancelled` (as a rejection) when `signal` aborts first.
   */
  sleep(ms: number, signal?: AbortSignal, holds?: boolean): Promise<void>;
  /**
   * Calls `fire` once after `ms`; fractions count.
   * @param holds - Keeps the process alive meanwhile. For work that somebody waits for; background timers (default) do not.
   */
  timer(ms: number, fire: () => void, holds?: boolean): Timer;
}

export interface Timer {
  /** Idempotent; `fire` is not called after this. */
  cancel(): void;
}

/** setTimeout turns anything above into 1 ms. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
const COARSE_MS = 10;

/** The process's own clock. */
export function liveClock(): Clock {
  return new LiveClock();
}

class LiveClock implements Clock {
  #coarse = 0;
  #isFresh = false;
  #refresher: NodeJS.Timeout | undefined;

  /** Apart, and a field: V8 then inlines `coarse` wherever it is asked for (27 bytes of bytecode at most), and its number needs no box. */
  readonly #refresh = (): void => {
    this.#isFresh = true;
    this.#coarse = performance.now();
    // One timer object, armed only while somebody asks: an idle process is not woken.
    if (this.#refresher === undefined) {
      this.#refresher = setTimeout(() => {
        this.#isFresh = false;
      }, COARSE_MS).unref();
    } else {
      this.#refresher.refresh();
    }
  };

  now(): number {
    return performance.now();
  }

  coarse(): number {
    if (!this.#isFresh) this.#refresh();
    return this.#coarse;
  }

  wallTime(): number {
    return Date.now();
  }

  sleep(ms: number, signal?: AbortSignal, holds = false): Promise<void> {
    return sleepOn(this, ms, signal, holds);
  }

  timer(ms: number, fire: () => void, holds = false): Timer {
    return new LiveTimer(ms, fire, holds);
  }
}

class LiveTimer implements Timer {
  #handle: NodeJS.Timeout;
  #remainingMs: number;
  readonly #fire: () => void;
  readonly #holds: boolean;

  constructor(ms: number, fire: () => void, holds: boolean) {
    this.#remainingMs = ms;
    this.#fire = fire;
    this.#holds = holds;
    this.#handle = this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  #arm(): NodeJS.Timeout {
    const step = Math.min(this.#remainingMs, LONGEST_TIMEOUT_MS);
    this.#remainingMs -= step;
    const handle = setTimeout(() => {
      if (this.#remainingMs > 0) this.#handle = this.#arm();
      else this.#fire();
    }, step);
    return this.#holds ? handle : handle.unref();
  }
}

/** `Clock.sleep` in terms of `Clock.timer`, for implementations of Clock. */
export function sleepOn(clock: Clock, ms: number, signal?: AbortSignal, holds?: boolean): Promise<void> {
  if (signal === undefined) return new Promise((resolve) => clock.timer(ms, resolve, holds));
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      timer.cancel();
      reject(new EvenkeelError('cancelled', 'sleep was cancelled', { cause: signal.reason }));
    };
    const timer = clock.timer(
      ms,
      () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      },
      holds,
    );
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * `AbortSignal.timeout` on an injected clock (the built-in one cannot be driven by a virtual clock). The reason is an
 * EvenkeelError `deadline-exceeded`. Costs an AbortController (some 6 us): for doors to other libraries, not for hot paths.
 */
export function deadlineSignal(clock: Clock, ms: number): AbortSignal & Disposable {
  const controller = new AbortController();
  const timer = clock.timer(Math.max(0, ms), () => {
    controller.abort(new EvenkeelError('deadline-exceeded', `no answer within ${ms} ms`, { retryable: 'unknown' }));
  });
  return Object.assign(controller.signal, { [Symbol.dispose]: () => timer.cancel() });
}
