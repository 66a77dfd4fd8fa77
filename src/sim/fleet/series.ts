/** A run over time, for plots: what the servers did in each tenth of a second, and how the latencies are distributed. */
import type { VirtualClock } from '../../core/virtual-clock.js';
import type { SimServer } from './sim-server.js';
import { UtilizationMeter } from './utilization.js';

export interface FleetSeries {
  readonly windowMs: number;
  /** Of each window: the mean utilisation of the busiest 5 % of the servers, and of all. */
  readonly tail: readonly number[];
  readonly mean: readonly number[];
  /** Requests that arrived in each window, and those of them that timed out. */
  readonly requests: readonly number[];
  readonly timeouts: readonly number[];
  /** Share of requests by latency: bins of equal width on a logarithmic axis, empty ones left out. */
  readonly latencies: readonly { readonly fromMs: number; readonly toMs: number; readonly share: number }[];
}

const WINDOW_MS = 100;
const BINS_PER_DECADE = 20;

export class SeriesRecorder {
  readonly #clock: VirtualClock;
  readonly #meter: UtilizationMeter;
  readonly #timeoutMs: number;
  readonly #requests: number[] = [];
  readonly #timeouts: number[] = [];
  readonly #bins = new Map<number, number>();
  #startedAtMs = 0;

  constructor(clock: VirtualClock, servers: readonly SimServer[], startInMs: number, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#meter = new UtilizationMeter(clock, servers, WINDOW_MS);
    clock.timer(startInMs, () => {
      this.#startedAtMs = clock.now();
      this.#meter.start();
    });
  }

  /** A request that arrived at `atMs` ended now. */
  ended(atMs: number): void {
    const latencyMs = this.#clock.now() - atMs;
    const window = Math.max(0, Math.floor((atMs - this.#startedAtMs) / WINDOW_MS));
    this.#requests[window] = (this.#requests[window] ?? 0) + 1;
    if (latencyMs > this.#timeoutMs) this.#timeouts[window] = (this.#timeouts[window] ?? 0) + 1;
    const bin = Math.floor(Math.log10(Math.max(latencyMs, 1e-3)) * BINS_PER_DECADE);
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + 1);
  }

  /** Servers are not measured any more; requests may still end. */
  stop(): void {
    this.#meter.stop();
  }

  series(): FleetSeries {
    const { tails, means } = this.#meter;
    const windows = tails.length;
    const total = [...this.#bins.values()].reduce((sum, count) => sum + count, 0);
    const edge = (bin: number) => 10 ** (bin / BINS_PER_DECADE);
    return {
      windowMs: WINDOW_MS,
      tail: tails,
      mean: means,
      requests: Array.from({ length: windows }, (_, i) => this.#requests[i] ?? 0),
      timeouts: Array.from({ length: windows }, (_, i) => this.#timeouts[i] ?? 0),
      latencies: [...this.#bins]
        .sort(([a], [b]) => a - b)
        .map(([bin, count]) => ({ fromMs: edge(bin), toMs: edge(bin + 1), share: count / total })),
    };
  }
}
