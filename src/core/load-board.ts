/**
 * The one load signal: every module counts its work here and reads everyone else's.
 *
 * Pressure, 0 to 1, is the fullest of: the host counter's weight / capacity, each `utilization` signal, 1 - each `free` signal, and
 * q / (q + processors) for each `queue` signal q. The maximum and not a mean: one full resource is enough to be full.
 */
import type { Clock } from './clock.js';
import { checkNumber, invalidArgument } from './errors.js';
import type { Host } from './host.js';
import { type LoadCounter, type LoadUnit, WorkCounter } from './load-counter.js';
import type { LoadReport, RemoteLoad } from './load-report.js';

/** `utilization`: share in use, 0 and up · `free`: share free, 0 to 1 · `queue`: pieces of work waiting. */
export type SignalKind = 'utilization' | 'queue' | 'free';

export interface LoadBoard {
  /**
   * The counter of that key, made at first use. Keys: `host`, `model:NAME`, `endpoint:ID`, `knob:NAME`, `limiter:NAME`, ... Beyond
   * {@link MAX_COUNTERS} keys all further ones share the counter `other`, so that names from outside cannot grow without bound.
   */
  counter(key: string, options?: { unit?: LoadUnit; capacity?: number }): LoadCounter;
  /** Adds a reading that only its owner can take: a GPU's queue, free KV blocks. A read that throws or is not a number is left out. */
  signal(key: string, read: () => number, options: { kind: SignalKind }): Disposable;
  /** What endpoint `id` last told of itself. */
  remote(endpointId: string): RemoteLoad | undefined;
  /** Records what endpoint `id` tells; for load sources. */
  setRemote(endpointId: string, report: LoadReport): void;
  /** Drops the counter `endpoint:ID` and the remote load of an endpoint that is gone. */
  forgetEndpoint(endpointId: string): void;
  keys(): Iterable<string>;
  /** This process's load, to be told to its callers: the host's, and the outstanding weight of each of `keys` (default: all but endpoints). */
  report(keys?: Iterable<string>): LoadReport;
  /** 0 (idle) to 1 (full); the formula is in this file's header. */
  pressure(): number;
}

export const MAX_COUNTERS = 10_000;
const MAX_KEY_LENGTH = 300;
const MAX_MODEL_LENGTH = 256;
const MAX_SIGNALS = 256;
const OVERFLOW_KEY = 'other';
const CPU_PERIOD_MS = 1000;

/** The key of a model's counter. Long names are cut: keys have a bound, and a request should not fail for its model's name. */
export function modelKey(name: string): string {
  return `model:${name.slice(0, MAX_MODEL_LENGTH)}`;
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
  readonly #counters = new Map<string, WorkCounter>();
  readonly #signals = new Map<string, Signal>();
  readonly #remotes = new Map<string, { report: LoadReport; atMs: number }>();
  readonly #cpu: CpuMeter;

  constructor(clock: Clock, host: Host) {
    this.#clock = clock;
    this.#host = host;
    this.#cpu = new CpuMeter(clock, host);
  }

  counter(key: string, options: { unit?: LoadUnit; capacity?: number } = {}): WorkCounter {
    const existing = this.#counters.get(key);
    const capacity = options.capacity === undefined ? undefined : checkCapacity(options.capacity);
    if (existing !== undefined) {
      if (options.unit !== undefined && options.unit !== existing.unit) {
        throw invalidArgument(`unit of ${key}`, options.unit, `${existing.unit}, as it was first given`);
      }
      if (capacity !== undefined) existing.capacity = capacity;
      return existing;
    }
    if (typeof key !== 'string' || key.length === 0 || key.length > MAX_KEY_LENGTH) {
      throw invalidArgument('key', key, `1 to ${MAX_KEY_LENGTH} characters`);
    }
    if (this.#counters.size >= MAX_COUNTERS && key !== OVERFLOW_KEY) return this.#overflow();
    const counter = new WorkCounter(this.#clock, key, options.unit ?? 'calls', capacity ?? Number.POSITIVE_INFINITY);
    this.#counters.set(key, counter);
    return counter;
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
    } else if (this.#remotes.size < MAX_COUNTERS) {
      this.#remotes.set(endpointId, { report, atMs });
    }
  }

  forgetEndpoint(endpointId: string): void {
    this.#remotes.delete(endpointId);
    this.#counters.delete(`endpoint:${endpointId}`);
  }

  keys(): Iterable<string> {
    return this.#counters.keys();
  }

  report(keys?: Iterable<string>): LoadReport {
    const host = this.#counters.get('host')?.read();
    // No prototype: a key may well be called `__proto__`.
    const namedMetrics: Record<string, number> = Object.create(null);
    if (host !== undefined) namedMetrics.host = host.weight;
    for (const key of keys ?? this.#reportable()) {
      const counter = this.#counters.get(key);
      if (counter !== undefined) namedMetrics[key] = counter.weight;
    }
    const utilization: Record<string, number> = Object.create(null);
    for (const [key, signal] of this.#signals) {
      const value = pressureOf(signal, this.#host.parallelism());
      if (value !== undefined) utilization[key] = value;
    }
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

  #overflow(): WorkCounter {
    return this.#counters.get(OVERFLOW_KEY) ?? this.counter(OVERFLOW_KEY);
  }

  *#reportable(): Iterable<string> {
    for (const key of this.#counters.keys()) if (!key.startsWith('endpoint:')) yield key;
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

function checkCapacity(capacity: number): number {
  return capacity === Number.POSITIVE_INFINITY ? capacity : checkNumber('capacity', capacity, Number.MIN_VALUE);
}
