/**
 * Readings that only their owners can take, as a brake on any limit: a GPU's queue, KV blocks in use, memory. While one is above its
 * maximum the limit goes down by a tenth a window, whatever latency says, and does not rise.
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import type { LoadBoard } from '../../core/load-board.js';
import type { Limit, LimitFactory, LimitWindow } from './limit.js';

export interface LimitSignal {
  /** On the load board: `load.signal(key, read, { kind })`. A signal that is silent, or throws, brakes nothing. */
  key: string;
  /** 0 (free) to 1 (full); as `load.reading(key)`. */
  max: number;
}

const BRAKE = 0.9;

/** @throws {EvenkeelError} `invalid-argument` for a key that is no text or a maximum outside 0 to 1. */
export function withSignals(factory: LimitFactory, signals: readonly LimitSignal[]): LimitFactory {
  for (const { key, max } of signals) {
    if (typeof key !== 'string' || key.length === 0) throw invalidArgument('signals: key', key, 'a key of the load board');
    checkNumber(`signals: max of ${key}`, max, 0, 1);
  }
  if (signals.length === 0) return factory;
  return (surroundings) => new BrakedLimit(factory(surroundings), signals, surroundings.load);
}

class BrakedLimit implements Limit {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  readonly windowMs: number;
  readonly windowCalls: number;
  readonly quantile: number;
  readonly #inner: Limit;
  readonly #signals: readonly LimitSignal[];
  readonly #load: LoadBoard;
  reason = 'initial';

  constructor(inner: Limit, signals: readonly LimitSignal[], load: LoadBoard) {
    this.initial = inner.initial;
    // Even a fixed limit goes down when a signal says so.
    this.min = Math.min(1, inner.min);
    this.max = inner.max;
    this.windowMs = inner.windowMs;
    this.windowCalls = inner.windowCalls;
    this.quantile = inner.quantile;
    this.#inner = inner;
    this.#signals = signals;
    this.#load = load;
  }

  next(window: LimitWindow): number {
    const full = this.#signals.find(({ key, max }) => (this.#load.reading(key) ?? 0) > max);
    if (full !== undefined) {
      this.reason = `signal ${full.key} is above ${full.max}`;
      return Math.max(this.min, window.limit * BRAKE);
    }
    const next = this.#inner.next(window);
    this.reason = this.#inner.reason;
    return next;
  }
}
