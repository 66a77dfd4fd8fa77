/** Candidates, sets of them and requests for tests of pickers. */
import { seededRandom, virtualClock } from '../../../../src/core/index.js';
import { WorkCounter } from '../../../../src/core/load-counter.js';
import { Candidate } from '../../../../src/router/candidate.js';
import type { Picker, PickerFactory, PickRequest, PickSet } from '../../../../src/router/pickers/picker.js';

const clock = virtualClock();

export function candidate(id: string, options: { inFlight?: number; weight?: number; latencyMs?: number } = {}): Candidate {
  const counter = new WorkCounter(clock, `endpoint:${id}`, 'calls', Number.POSITIVE_INFINITY);
  const made = new Candidate({ id, address: `memory://${id}`, weight: options.weight ?? 1 }, counter);
  for (let i = 0; i < (options.inFlight ?? 0); i++) counter.enter(1);
  if (options.latencyMs !== undefined) made.onEnd('ok', options.latencyMs, 0, 0);
  return made;
}

export function candidates(count: number, options: (i: number) => Parameters<typeof candidate>[1] = () => ({})): Candidate[] {
  return Array.from({ length: count }, (_, i) => candidate(`e${i}`, options(i)));
}

export function setOf(list: readonly Candidate[], version = 1): PickSet {
  return { candidates: list, version };
}

export function request(now = 0, options: Partial<PickRequest> = {}): PickRequest {
  return { now, weight: 1, loadKey: undefined, ...options };
}

export function make(factory: PickerFactory, seed = 1): Picker {
  return factory(seededRandom(seed));
}

/** As a router picks: the call goes where the picker says. */
export function picked(picker: Picker, set: PickSet, at: PickRequest = request()): number {
  const index = picker.pickIndex(set, at);
  picker.onPicked?.(set, set.candidates[index] as Candidate, at);
  return index;
}

/** How often each candidate is picked; nothing is sent, so nothing changes between picks. */
export function shares(picker: Picker, set: PickSet, picks: number, at: PickRequest = request()): number[] {
  const counts = new Array<number>(set.candidates.length).fill(0);
  for (let i = 0; i < picks; i++) {
    const index = picked(picker, set, at);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts.map((count) => count / picks);
}
