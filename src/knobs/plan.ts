/** What a flip would touch, from what instances report; pure. */
import type { Plan, PlannedKnob } from './actuator.js';
import type { KnobChange } from './change.js';
import { disagreeing, type Fleet } from './fleet.js';
import type { KnobUse, RegisteredKnob } from './report.js';
import type { KnobSnapshot, LevelScope } from './snapshot.js';

export function planOf(change: KnobChange, snapshot: KnobSnapshot, fleet: Fleet, revision: number): Plan {
  const uses = new Map<string, KnobUse[]>();
  for (const { knobs, service } of fleet.instances) {
    for (const use of knobs) {
      const key = `${service}\n${use.name}`;
      const some = uses.get(key);
      if (some === undefined) uses.set(key, [use]);
      else some.push(use);
    }
  }
  const knobs: PlannedKnob[] = [];
  for (const [service, registries] of fleet.registries) {
    const instances = new Map<string, { knob: RegisteredKnob; count: number }>();
    for (const { instances: count, knobs: registered } of registries) {
      for (const knob of registered) {
        if (!isTouched(change, snapshot, service, knob)) continue;
        instances.set(knob.name, { knob, count: count + (instances.get(knob.name)?.count ?? 0) });
      }
    }
    for (const { count, knob } of instances.values())
      knobs.push({ ...knob, service, instances: count, ...sumOf(uses.get(`${service}\n${knob.name}`) ?? []) });
  }
  return {
    change,
    revision,
    instances: fleet.instances.length,
    knobs,
    disagreeing: disagreeing(fleet),
    needsApproval: change.type === 'level' && change.level === 1,
  };
}

function isTouched(change: KnobChange, { knobs, levels }: KnobSnapshot, service: string, knob: RegisteredKnob): boolean {
  if (change.type === 'knob') return knob.name === change.knob;
  if (change.type === 'release-all') {
    const isLeveled = levels.some(({ level, scope }) => isIn(scope, service, knob) && level <= knob.level);
    return isLeveled || knobs.some((flip) => flip.knob === knob.name);
  }
  if (!isIn(change.scope, service, knob)) return false;
  // Those that the level turns on, and those that the present one has on and the new one lets go.
  const present = levels.find(({ scope }) => scope === change.scope)?.level ?? 4;
  return knob.level >= Math.min(change.level, present);
}

function isIn(scope: LevelScope, service: string, { feature, product }: RegisteredKnob): boolean {
  return scope === 'all' || scope === `service:${service}` || scope === `product:${product}` || scope === `feature:${feature}`;
}

function sumOf(uses: readonly KnobUse[]) {
  const sum = (of: (use: KnobUse) => number) => uses.reduce((total, use) => total + of(use), 0);
  const mean = (runs: (use: KnobUse) => number, ms: (use: KnobUse) => number | null) => {
    const all = sum((use) => (ms(use) === null ? 0 : runs(use)));
    return all === 0 ? null : sum((use) => runs(use) * (ms(use) ?? 0)) / all;
  };
  return {
    checksPerSecond: sum(({ checksPerSecond }) => checksPerSecond),
    fullMs: mean(
      ({ fullRuns }) => fullRuns,
      ({ fullMs }) => fullMs,
    ),
    reducedMs: mean(
      ({ reducedRuns }) => reducedRuns,
      ({ reducedMs }) => reducedMs,
    ),
    reducedRuns: sum(({ reducedRuns }) => reducedRuns),
  };
}
