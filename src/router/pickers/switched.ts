/** A picker that can be turned off: then power of two choices on own work in flight takes its place. */
import type { FeatureSwitch } from '../../core/feature-switch.js';
import type { Random } from '../../core/random.js';
import type { Candidate } from '../candidate.js';
import { ownLoad } from './load.js';
import type { Picker, PickRequest, PickSet } from './picker.js';
import { DEFAULT_CHOICES, SamplingPicker } from './sampling.js';

/** The picker itself where nobody can turn it off. */
export function switchedPicker(picker: Picker, random: Random, isUsed: FeatureSwitch | undefined): Picker {
  return isUsed === undefined ? picker : new SwitchedPicker(picker, random, isUsed);
}

class SwitchedPicker implements Picker {
  readonly #picker: Picker;
  readonly #plain: Picker;
  readonly #switch: FeatureSwitch;

  constructor(picker: Picker, random: Random, isUsed: FeatureSwitch) {
    this.#picker = picker;
    this.#plain = new SamplingPicker('p2c', random, DEFAULT_CHOICES, ownLoad);
    this.#switch = isUsed;
  }

  get #current(): Picker {
    return this.#switch.isOn ? this.#picker : this.#plain;
  }

  get name(): string {
    return this.#current.name;
  }

  pickIndex(set: PickSet, request: PickRequest): number {
    return this.#current.pickIndex(set, request);
  }

  onPicked(set: PickSet, candidate: Candidate, request: PickRequest): void {
    this.#current.onPicked?.(set, candidate, request);
  }

  compared(): readonly number[] {
    return this.#current.compared?.() ?? [];
  }

  score(candidate: Candidate, request: PickRequest): number {
    return this.#current.score?.(candidate, request) ?? Number.NaN;
  }

  mustAsk(set: PickSet, request: PickRequest): boolean {
    return this.#current.mustAsk?.(set, request) === true;
  }

  choose(set: PickSet, request: PickRequest, done: (index: number) => void): void {
    const { choose } = this.#current;
    if (choose === undefined) done(this.pickIndex(set, request));
    else choose.call(this.#current, set, request, done);
  }
}
