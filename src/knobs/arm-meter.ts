/**
 * How often both arms of a knob ran, and how long they took: the measured saving, for nothing but the use of `run`.
 *
 * Wall time, from the call to the end of what it returned; of promises that is their settling.
 */
import type { Clock } from '../core/clock.js';
import type { WorkCounter } from '../core/load-counter.js';

export interface ArmCount {
  /** Runs that ended, failures included. */
  readonly runs: number;
  readonly failed: number;
  /** Sums over them: milliseconds, and their squares, for an error bar. */
  readonly wallMs: number;
  readonly wallMs2: number;
}

export interface ArmSurroundings {
  readonly clock: Clock;
  /** `knob:NAME` on the load board, made at the first run: what is in flight in either arm. */
  readonly counter: () => WorkCounter;
  /** The reduced arm failed, and the full one stood in. */
  readonly onFailed: (error: unknown) => void;
}

class Arm {
  runs = 0;
  failed = 0;
  wallMs = 0;
  wallMs2 = 0;

  end(ms: number): void {
    this.runs++;
    this.wallMs += ms;
    this.wallMs2 += ms * ms;
  }

  count(): ArmCount {
    const { failed, runs, wallMs, wallMs2 } = this;
    return { runs, failed, wallMs, wallMs2 };
  }
}

export class ArmMeter {
  readonly #clock: Clock;
  readonly #onFailed: (error: unknown) => void;
  readonly #counter: () => WorkCounter;
  #work: WorkCounter | undefined;
  readonly #full = new Arm();
  readonly #reduced = new Arm();

  constructor({ clock, counter, onFailed }: ArmSurroundings) {
    this.#clock = clock;
    this.#counter = counter;
    this.#onFailed = onFailed;
  }

  counts(): { full: ArmCount; reduced: ArmCount } {
    return { full: this.#full.count(), reduced: this.#reduced.count() };
  }

  full<T>(work: () => T): T {
    return this.#timed(this.#full, work, undefined);
  }

  reduced<T>(full: () => T, reduced: () => T): T {
    return this.#timed(this.#reduced, reduced, (error) => {
      this.#onFailed(error);
      return this.full(full);
    });
  }

  /** `instead`: what to do when it fails; undefined: the failure is the caller's. */
  #timed<T>(arm: Arm, work: () => T, instead: ((error: unknown) => T) | undefined): T {
    this.#work ??= this.#counter();
    const counter = this.#work;
    const startedAt = this.#clock.now();
    counter.enter(1);
    const end = (outcome: 'ok' | 'error') => {
      const now = this.#clock.now();
      counter.leave(1, outcome, startedAt, now);
      arm.end(now - startedAt);
    };
    const fail = (error: unknown): T => {
      arm.failed++;
      end('error');
      if (instead === undefined) throw error;
      return instead(error);
    };
    let result: T;
    try {
      result = work();
    } catch (error) {
      return fail(error);
    }
    if (!(result instanceof Promise)) {
      end('ok');
      return result;
    }
    return result.then((value) => {
      end('ok');
      return value;
    }, fail) as T;
  }
}
