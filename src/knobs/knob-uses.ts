/** What a report says of the knobs of this instance: how they stand, and how much they were used since the report before. */
import type { Clock } from '../core/clock.js';
import type { ArmCount } from './arm-meter.js';
import type { KnobTable } from './knob-table.js';
import type { Registry } from './registry.js';
import type { KnobUse } from './report.js';

export class KnobUses {
  readonly #registry: Registry;
  readonly #table: KnobTable;
  readonly #clock: Clock;
  /** By index, checks as of the last report. */
  readonly #checks: number[] = [];
  #atMs: number;

  constructor(registry: Registry, table: KnobTable, clock: Clock) {
    this.#registry = registry;
    this.#table = table;
    this.#clock = clock;
    this.#atMs = clock.now();
  }

  /** Of those that are on, or were used; the rates begin anew. */
  take(): KnobUse[] {
    const now = this.#clock.now();
    const seconds = Math.max(now - this.#atMs, 1) / 1000;
    this.#atMs = now;
    const uses: KnobUse[] = [];
    for (const { index, meter, name } of this.#registry) {
      const checks = this.#table.hitsOf(index);
      const dose = this.#table.doseOf(index);
      const { full, reduced } = meter.counts();
      // Counters wrap around.
      const checksPerSecond = ((checks - (this.#checks[index] ?? 0)) >>> 0) / seconds;
      this.#checks[index] = checks;
      if (dose === 0 && checksPerSecond === 0 && full.runs + reduced.runs === 0) continue;
      uses.push({
        name,
        dose,
        checksPerSecond: Number(checksPerSecond.toPrecision(4)),
        fullRuns: full.runs,
        reducedRuns: reduced.runs,
        failedRuns: reduced.failed,
        fullMs: meanOf(full),
        reducedMs: meanOf(reduced),
      });
    }
    return uses;
  }
}

function meanOf({ runs, wallMs }: ArmCount): number | null {
  return runs === 0 ? null : wallMs / runs;
}
