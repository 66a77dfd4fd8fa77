/** The cells of the model: loads, servers, and runs on them. */
import type { OverloadPhase, OverloadResult } from 'evenkeel/sim';
import type { Job, WorkName } from './jobs.js';
import type { PolicyName } from './policies.js';

export const LOADS = [0.5, 0.8, 1.2, 1.5, 2, 3, 5, 10];
export const OVER = LOADS.filter((load) => load > 1);
const WORKS: readonly WorkName[] = ['log-normal', 'bimodal'];
/** Requests a run does under load: with 8 slots an overload of 20 s, and 0.8 % of noise of arrivals. */
const REQUESTS = 16_000;
/** With more slots an overload of as many requests would be all start: what it costs to find the limit would count for what it costs to keep it. */
const LEAST_MS = 5000;
export const BASE_LOAD = 0.7;

export interface Setting {
  readonly slots: number;
  readonly work: WorkName;
  readonly refusalShare: number;
}

/** Each of these servers with both kinds of work. */
export const all = (slots: readonly number[], refusalShare: number): Setting[] =>
  slots.flatMap((one) => WORKS.map((work) => ({ slots: one, work, refusalShare })));

export const SETTINGS: readonly Setting[] = [...all([1, 8, 64, 256], 0.001), ...all([8, 64], 0), ...all([8, 64], 0.01)];

export function phasesOf(slots: number, load: number): OverloadPhase[] {
  return [
    { load: BASE_LOAD, forMs: 3000 },
    { load, forMs: Math.max(LEAST_MS, Math.round((REQUESTS / slots) * 10)) },
    // What was retried has time to be answered.
    { load: BASE_LOAD, forMs: 3000 },
  ];
}

export const jobOf = (policy: PolicyName, setting: Setting, load: number, seed: number, isThrottled = false): Job => ({
  policy,
  ...setting,
  phases: phasesOf(setting.slots, load),
  seed,
  ...(isThrottled ? { isThrottled } : undefined),
});

/** What a policy came to in one of them. */
export interface Cell {
  readonly name: string;
  readonly value: number;
  readonly setting: Setting;
  readonly load: number;
}

export const nameOf = ({ refusalShare, slots, work }: Setting, load: number) =>
  `${load}x, K ${slots}, ${work}, r ${100 * refusalShare} %`;
export const worst = (cells: readonly Cell[]): Cell => cells.reduce((low, cell) => (cell.value < low.value ? cell : low));
export const cellOf = (setting: Setting, load: number, value: number): Cell => ({
  name: nameOf(setting, load),
  setting,
  load,
  value,
});
/** During the overload, as a share of what the server can do. */
export const under = (result: OverloadResult) => result.phases[1]?.goodput ?? 0;
