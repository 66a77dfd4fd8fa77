/** A knob as application code holds it: defined once, by name; read on every request, by index. */
import type { FeatureSwitch } from '../core/feature-switch.js';
import type { ArmMeter } from './arm-meter.js';
import type { KnobDefinition } from './definition.js';
import { KnobTable } from './knob-table.js';
import type { KnobView } from './view.js';

export interface Knob<Name extends string = string> {
  readonly name: Name;
  readonly definition: KnobDefinition<Name>;
  /** Do less: the process's value. One read of a byte, and an addition for the count of checks; allocates nothing. */
  readonly on: boolean;
  /** How much less: 0 (off) to 255. */
  readonly dose: number;
  /** Do less, for one request: `view` from `knobs.pin`. Percentages and cohorts are drawn for it. */
  in(view: KnobView): boolean;
  doseIn(view: KnobView): number;
  /**
   * Runs `reduced` when the knob is on, `full` when it is not, and counts and times both. When `reduced` throws, `full` is run once, and `failed` is
   * told: a path that is seldom used must not be the next outage.
   * @param view - The request's; default: the process's value.
   * @throws What `full` throws.
   */
  run<T>(full: () => T, reduced: (dose: number) => T, view?: KnobView): T;
  /** For the library's own options that take a switch: on while the knob is off. */
  readonly feature: FeatureSwitch;
}

/** Reads the table; counts nothing. */
export class TableKnob<Name extends string = string> implements Knob<Name> {
  readonly definition: KnobDefinition<Name>;
  readonly index: number;
  readonly meter: ArmMeter;
  protected readonly live: Uint8Array;
  protected readonly slot: number;

  constructor(definition: KnobDefinition<Name>, table: KnobTable, index: number, meter: ArmMeter) {
    this.definition = definition;
    this.index = index;
    this.meter = meter;
    this.live = table.chunkOf(index).live;
    this.slot = KnobTable.slotOf(index);
  }

  get name(): Name {
    return this.definition.name;
  }

  get on(): boolean {
    return this.live[this.slot] !== 0;
  }

  get dose(): number {
    return this.live[this.slot] as number;
  }

  in(view: KnobView): boolean {
    return this.doseIn(view) !== 0;
  }

  doseIn(view: KnobView): number {
    const { doses, rules } = view.state;
    // A knob that was defined after the view was pinned is off in it.
    const dose = (doses[this.index] as number) | 0;
    if (rules === undefined) return dose;
    const rule = rules[this.index];
    return rule === undefined ? dose : view.doseBy(rule, dose);
  }

  run<T>(full: () => T, reduced: (dose: number) => T, view?: KnobView): T {
    const dose = view === undefined ? this.dose : this.doseIn(view);
    return dose === 0 ? this.meter.full(full) : this.meter.reduced(full, () => reduced(dose));
  }

  get feature(): FeatureSwitch {
    return new KnobFeature(this);
  }
}

/** Counts its checks, too. */
export class CountedKnob<Name extends string = string> extends TableKnob<Name> {
  readonly #hits: Uint32Array;

  constructor(definition: KnobDefinition<Name>, table: KnobTable, index: number, meter: ArmMeter) {
    super(definition, table, index, meter);
    this.#hits = table.chunkOf(index).hits;
  }

  override get on(): boolean {
    const { slot } = this;
    (this.#hits[slot] as number)++;
    return this.live[slot] !== 0;
  }

  override get dose(): number {
    const { slot } = this;
    (this.#hits[slot] as number)++;
    return this.live[slot] as number;
  }

  override doseIn(view: KnobView): number {
    (this.#hits[this.slot] as number)++;
    return super.doseIn(view);
  }
}

class KnobFeature implements FeatureSwitch {
  readonly #knob: TableKnob;

  constructor(knob: TableKnob) {
    this.#knob = knob;
  }

  get isOn(): boolean {
    return !this.#knob.on;
  }
}
