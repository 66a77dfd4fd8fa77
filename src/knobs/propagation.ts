/**
 * Who has a state, and how long that took. An instance says how long ago it was in force there when it wrote its report, so that no clocks are compared; what
 * the report took to come counts as well. Of reports that were there before anybody looked nobody knows when they came: they count, and have no time.
 */
import type { Clock } from '../core/clock.js';
import type { StateTransport, Watch } from '../core/transport/state.js';
import type { Propagation } from './actuator.js';
import { decodeReport, type InstanceReport, reportsPrefix } from './report.js';

const MOST_NAMED = 100;

export class PropagationWatch implements Disposable {
  readonly #revision: number;
  readonly #writtenAtMs: number | undefined;
  readonly #watch: Watch;
  readonly #reports = new Map<string, InstanceReport>();
  /** By instance, from the writing of the state to its being in force. */
  readonly #delays = new Map<string, number>();
  #isListed = false;
  readonly listed: Promise<void>;

  /** @param writtenAtMs - Undefined: another wrote it, and no times are known. */
  constructor(state: StateTransport, scope: string, clock: Clock, revision: number, writtenAtMs: number | undefined) {
    this.#revision = revision;
    this.#writtenAtMs = writtenAtMs;
    let onListed = () => {};
    this.listed = new Promise((resolve) => {
      onListed = resolve;
    });
    this.#watch = state.watch(reportsPrefix(scope), ({ entry, type }) => {
      if (type === 'reset') this.#reports.clear();
      else if (type === 'put' && entry !== undefined) this.#take(entry.key, entry.value, clock.now());
      else if (entry !== undefined) this.#reports.delete(entry.key);
      if (type !== 'synced') return;
      this.#isListed = true;
      onListed();
    });
  }

  get so(): Propagation {
    const laggards: string[] = [];
    for (const report of this.#reports.values())
      if (report.revision < this.#revision) laggards.push(`${report.service}/${report.instance}`);
    const delays = [...this.#delays.values()].sort((a, b) => a - b);
    const quantile = (share: number) => delays[Math.ceil(share * delays.length) - 1] ?? Number.NaN;
    return {
      revision: this.#revision,
      applied: this.#reports.size - laggards.length,
      total: this.#reports.size,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
      laggards: laggards.sort().slice(0, MOST_NAMED),
    };
  }

  [Symbol.dispose](): void {
    this.#watch.close();
  }

  #take(key: string, value: Uint8Array, nowMs: number): void {
    let report: InstanceReport;
    try {
      report = decodeReport(value);
    } catch {
      return;
    }
    this.#reports.set(key, report);
    const isTimed = this.#isListed && this.#writtenAtMs !== undefined && report.revision === this.#revision;
    if (isTimed && !this.#delays.has(key))
      this.#delays.set(key, Math.max(0, nowMs - report.appliedAgoMs - (this.#writtenAtMs as number)));
  }
}
