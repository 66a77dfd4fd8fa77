/**
 * Readings that only their owners can take, as a brake on any limit: a GPU's queue, KV blocks in use, memory. While one is above its
 * maximum the limit goes down by a tenth every 100 ms, whatever latency says, and below it comes back by as much. By the clock, and not by windows of
 * calls: sixteen decodes of a minute each are no time to wait for.
 *
 * The limit behind is not asked meanwhile: what it saw of a server with less to do says nothing of the server.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { checkNumber, invalidArgument } from '../../core/errors.js';
import type { LoadBoard } from '../../core/load-board.js';
import { BaseLimit } from './base-limit.js';
import type { Limit, LimitWindow } from './limit.js';

export interface LimitSignal {
  /** On the load board: `load.signal(key, read, { kind })`. A signal that is silent, or throws, brakes nothing. */
  key: string;
  /** 0 (free) to 1 (full); as `load.reading(key)`. */
  max: number;
}

export interface BrakeSurroundings {
  readonly clock: Clock;
  readonly load: LoadBoard;
  /** The limit is another, and nobody asked. */
  readonly onChange: (limit: number) => void;
}

const LOOK_EVERY_MS = 100;
const BRAKE = 0.9;

/** @throws {EvenkeelError} `invalid-argument` for a key that is no text or a maximum outside 0 to 1. */
export function checkSignals(signals: readonly LimitSignal[]): readonly LimitSignal[] {
  for (const { key, max } of signals) {
    if (typeof key !== 'string' || key.length === 0) throw invalidArgument('signals: key', key, 'a key of the load board');
    checkNumber(`signals: max of ${key}`, max, 0, 1);
  }
  return signals;
}

export class BrakedLimit extends BaseLimit implements Disposable {
  readonly afterIdle?: (limit: number, idleMs: number) => number;
  readonly #inner: Limit;
  readonly #signals: readonly LimitSignal[];
  readonly #surroundings: BrakeSurroundings;
  /** Of the limit behind, and what of it is left. */
  #limit: number;
  #share = 1;
  #looks: Timer | undefined;

  constructor(inner: Limit, signals: readonly LimitSignal[], surroundings: BrakeSurroundings) {
    const { initial, max, quantile, windowCalls, windowMs } = inner;
    // Even a fixed limit goes down when a signal says so.
    super({ initial, min: Math.min(1, inner.min), max, quantile, windowCalls, windowMs });
    this.#inner = inner;
    this.#signals = signals;
    this.#surroundings = surroundings;
    this.#limit = initial;
    if (inner.afterIdle !== undefined) this.afterIdle = (limit, idleMs) => this.#afterIdle(limit, idleMs);
  }

  /** Begins to look; not before whoever hears of a change can. */
  start(): void {
    this.#looks = this.#lookLater();
  }

  next(window: LimitWindow): number {
    if (this.#share < 1) return this.#braked();
    return this.#follow(this.#inner.next(window));
  }

  #afterIdle(limit: number, idleMs: number): number {
    if (this.#share < 1) return limit;
    return this.#follow(this.#inner.afterIdle?.(limit, idleMs) ?? limit);
  }

  #follow(limit: number): number {
    this.#limit = limit;
    return this.found(limit, this.#inner.reason);
  }

  [Symbol.dispose](): void {
    this.#looks?.cancel();
  }

  #lookLater(): Timer {
    return this.#surroundings.clock.timer(LOOK_EVERY_MS, () => {
      this.#looks = this.#lookLater();
      this.#look();
    });
  }

  #look(): void {
    const full = this.#signals.find(({ key, max }) => (this.#surroundings.load.reading(key) ?? 0) > max);
    if (full === undefined && this.#share === 1) return;
    // No lower than the least limit needs, or the way back would take ever longer.
    const least = this.min / this.#limit;
    this.#share = full === undefined ? Math.min(1, this.#share / BRAKE) : Math.max(least, this.#share * BRAKE);
    this.reason = full === undefined ? 'signals are below their maxima' : `signal ${full.key} is above ${full.max}`;
    this.#surroundings.onChange(this.#braked());
  }

  #braked(): number {
    return Math.max(this.min, this.#limit * this.#share);
  }
}
