/**
 * The one load signal: every module counts its work here and reads everyone else's.
 *
 * Pressure, 0 to 1, is the fullest of: the host counter's weight / capacity, each `utilization` signal, 1 - each `free` signal, and
 * q / (q + processors) for each `queue` signal q. The maximum and not a mean: one full resource is enough to be full.
 */
import type { Clock } from './clock.js';
import { CounterTable, MODEL_PREFIX } from './counter-table.js';
import { MAX_ENDPOINTS } from './endpoint.js';
import { invalidArgument } from './errors.js';
import type { Host } from './host.js';
import type { LoadCounter, LoadUnit, WorkCounter } from './load-counter.js';
import type { LoadReport, RemoteLoad } from './load-report.js';
import { MAX_NAME_LENGTH } from './orca/fields.js';
import {
  largest,
  MAX_TOLD_COUNTERS,
  MAX_TOLD_COUNTERS_LENGTH,
  MAX_TOLD_SIGNALS,
  MAX_TOLD_SIGNALS_LENGTH,
} from './report-bounds.js';

export { MAX_COUNTERS } from './counter-table.js';

/** `utilization`: share in use, 0 and up · `free`: share free, 0 to 1 · `queue`: pieces of work waiting. */
export type SignalKind = 'utilization' | 'queue' | 'free';

export interface LoadBoard {
  /**
   * The counter of that key, made at first use. Keys: `host`, `model:NAME`, `endpoint:ID`, `knob:NAME`, `limiter:NAME`, ...
   *
   * Names from outside cannot grow without bound: beyond {@link MAX_COUNTERS} keys, endpoints aside, a new one takes the place of
   * a model that has nothing in flight and no capacity, or, where there is none, shares the counter `other`. So ask for a model's
   * counter at each use, rather than to keep it. Endpoints never share; they have a bound of their own, {@link MAX_ENDPOINTS}.
   * @throws {EvenkeelError} `invalid-argument` for a bad key, another unit, or a capacity that is not above 0;
   *   `resource-exhausted` for one endpoint too many.
   */
  counter(key: string, options?: { unit?: LoadUnit; capacity?: number }): LoadCounter;
  /** Adds a reading that only its owner can take: a GPU's queue, free KV blocks. A read that throws or is not a number is left out. */
  signal(key: string, read: () => number, options: { kind: SignalKind }): Disposable;
  /** The signal of that key, as pressure: 0 (free) to 1 (full). Undefined: there is none, or its owner has nothing to say at the moment. */
  reading(key: string): number | undefined;
  /** What endpoint `id` last told of itself. */
  remote(endpointId: string): RemoteLoad | undefined;
  /** Records what endpoint `id` tells; for load sources. */
  setRemote(endpointId: string, report: LoadReport): void;
  /** The counter `endpoint:ID`, kept for each of its users until they forget it. Never refused: lists of endpoints have their bound. */
  useEndpoint(endpointId: string): LoadCounter;
  /** Ends one use; with the last one the counter and the remote load are dropped. */
  forgetEndpoint(endpointId: string): void;
  /**
   * Drops the counter of that key; for its owner, once it will count nothing any more. False: something is in flight, so it stays, or there is
   * none. Counters of endpoints go by `forgetEndpoint`.
   */
  forget(key: string): boolean;
  keys(): Iterable<string>;
  /**
   * This process's load, to be told to its callers: the host's, and the outstanding weight of each of `keys`. Without `keys`: of
   * all but endpoints and idle models, the 128 largest and no more than a reader takes (16 KiB).
   */
  report(keys?: Iterable<string>): LoadReport;
  /** 0 (idle) to 1 (full); the formula is in this file's header. */
  pressure(): number;
}

const MAX_SIGNALS = 256;
/** Its key is a name that reports can carry. */
const MAX_MODEL_LENGTH = MAX_NAME_LENGTH - MODEL_PREFIX.length;
const CPU_PERIOD_MS = 1000;

/**
 * The key of a model's counter. Names of more than 250 characters are cut, at a whole one: keys have a bound, and a request should
 * not fail for its model's name.
 */
export function modelKey(name: string): string {
  if (name.length <= MAX_MODEL_LENGTH) return MODEL_PREFIX + name;
  const last = name.charCodeAt(MAX_MODEL_LENGTH - 1);
  const isHalf = last >= 0xd800 && last <= 0xdbff;
  return MODEL_PREFIX + name.slice(0, isHalf ? MAX_MODEL_LENGTH - 1 : MAX_MODEL_LENGTH);
}

export function createLoadBoard(options: { clock: Clock; host: Host }): LoadBoard {
  return new Board(options.clock, options.host);
}

interface Signal {
  readonly kind: SignalKind;
  readonly read: () => number;
}

class Board implements LoadBoard {
  readonly #clock: Clock;
  readonly #host: Host;
  readonly #counters: CounterTable;
  readonly #signals = new Map<string, Signal>();
  readonly #remotes = new Map<string, { report: LoadReport; atMs: number }>();
  readonly #cpu: CpuMeter;

  constructor(clock: Clock, host: Host) {
    this.#clock = clock;
    this.#host = host;
    this.#counters = new CounterTable(clock);
    this.#cpu = new CpuMeter(clock, host);
  }

  counter(key: string, options?: { unit?: LoadUnit; capacity?: number }): WorkCounter {
    return this.#counters.counter(key, options);
  }

  signal(key: string, read: () => number, options: { kind: SignalKind }): Disposable {
    if (this.#signals.has(key)) throw invalidArgument('signal', key, 'a key that has no signal yet');
    if (this.#signals.size >= MAX_SIGNALS) throw invalidArgument('signal', key, `at most ${MAX_SIGNALS} signals`);
    const signal = { kind: options.kind, read };
    this.#signals.set(key, signal);
    return {
      [Symbol.dispose]: () => {
        if (this.#signals.get(key) === signal) this.#signals.delete(key);
      },
    };
  }

  reading(key: string): number | undefined {
    const signal = this.#signals.get(key);
    return signal === undefined ? undefined : pressureOf(signal, this.#host.parallelism());
  }

  remote(endpointId: string): RemoteLoad | undefined {
    const remote = this.#remotes.get(endpointId);
    return remote && { report: remote.report, ageMs: this.#clock.now() - remote.atMs };
  }

  setRemote(endpointId: string, report: LoadReport): void {
    const known = this.#remotes.get(endpointId);
    const atMs = this.#clock.now();
    if (known !== undefined) {
      known.report = report;
      known.atMs = atMs;
    } else if (this.#remotes.size < MAX_ENDPOINTS) {
      this.#remotes.set(endpointId, { report, atMs });
    }
  }

  useEndpoint(endpointId: string): WorkCounter {
    return this.#counters.useEndpoint(endpointId);
  }

  forgetEndpoint(endpointId: string): void {
    if (this.#counters.forgetEndpoint(endpointId)) this.#remotes.delete(endpointId);
  }

  forget(key: string): boolean {
    return this.#counters.forget(key);
  }

  keys(): Iterable<string> {
    return this.#counters.keys();
  }

  report(keys?: Iterable<string>): LoadReport {
    const host = this.#counters.get('host')?.read();
    // No prototype: a key may well be called `__proto__`.
    const namedMetrics: Record<string, number> = Object.create(null);
    if (host !== undefined) namedMetrics.host = host.weight;
    if (keys === undefined) Object.assign(namedMetrics, this.#busiest());
    else this.#addWeights(namedMetrics, keys);
    const readings = this.#readings();
    const utilization = keys === undefined ? largest(readings, MAX_TOLD_SIGNALS, MAX_TOLD_SIGNALS_LENGTH) : readings;
    const cpuUtilization = this.#cpu.read();
    return {
      ...(cpuUtilization === undefined ? undefined : { cpuUtilization }),
      ...(host === undefined ? undefined : { rps: host.ratePerSecond, eps: host.errorsPerSecond }),
      ...(host === undefined || host.capacity === Number.POSITIVE_INFINITY
        ? undefined
        : { applicationUtilization: host.utilization }),
      ...(Object.keys(utilization).length === 0 ? undefined : { utilization }),
      namedMetrics,
    };
  }

  pressure(): number {
    let pressure = 0;
    const host = this.#counters.get('host');
    if (host !== undefined && host.capacity !== Number.POSITIVE_INFINITY) pressure = Math.min(1, host.weight / host.capacity);
    for (const signal of this.#signals.values()) {
      pressure = Math.max(pressure, pressureOf(signal, this.#host.parallelism()) ?? 0);
    }
    return pressure;
  }

  #addWeights(metrics: Record<string, number>, keys: Iterable<string>): void {
    for (const key of keys) {
      const counter = this.#counters.get(key);
      if (counter !== undefined) metrics[key] = counter.weight;
    }
  }

  #busiest(): Record<string, number> {
    const weights: Record<string, number> = Object.create(null);
    for (const { key, weight } of this.#counters.others()) {
      if (key !== 'host' && (weight > 0 || !key.startsWith(MODEL_PREFIX))) weights[key] = weight;
    }
    return largest(weights, MAX_TOLD_COUNTERS, MAX_TOLD_COUNTERS_LENGTH);
  }

  #readings(): Record<string, number> {
    const readings: Record<string, number> = Object.create(null);
    for (const [key, signal] of this.#signals) {
      const value = pressureOf(signal, this.#host.parallelism());
      if (value !== undefined) readings[key] = value;
    }
    return readings;
  }
}

/** 0 to 1, or undefined for a reading that says nothing. */
function pressureOf({ kind, read }: Signal, processors: number): number | undefined {
  let value: number;
  try {
    value = read();
  } catch {
    return undefined;
  }
  if (!Number.isFinite(value)) return undefined;
  const pressure = kind === 'free' ? 1 - value : kind === 'queue' ? value / (Math.max(0, value) + processors) : value;
  return Math.min(1, Math.max(0, pressure));
}

/** This process's share of its processors, over the last second or more; a reading costs a system call at most once a second. */
class CpuMeter {
  readonly #clock: Clock;
  readonly #host: Host;
  #atMs: number;
  #cpuMs: number;
  #utilization: number | undefined;

  constructor(clock: Clock, host: Host) {
    this.#clock = clock;
    this.#host = host;
    this.#atMs = clock.now();
    this.#cpuMs = host.cpuTimeMs();
  }

  read(): number | undefined {
    const elapsed = this.#clock.coarse() - this.#atMs;
    if (elapsed < CPU_PERIOD_MS) return this.#utilization;
    const cpuMs = this.#host.cpuTimeMs();
    this.#utilization = Math.max(0, cpuMs - this.#cpuMs) / (elapsed * this.#host.parallelism());
    this.#cpuMs = cpuMs;
    this.#atMs += elapsed;
    return this.#utilization;
  }
}
