/** The doses of all knobs of a process, as one state that checks read. */
import type { KnobDefinition } from './definition.js';
import type { Effective } from './effective.js';
import type { KnobRule, KnobState } from './knob-table.js';
import type { Registry } from './registry.js';

/** @param isLost - The policy of that knob is in force: nothing has proven its state for longer than it allows. */
export function weighed(
  registry: Registry,
  effective: Effective,
  size: number,
  isLost: (definition: KnobDefinition) => boolean,
): KnobState {
  const doses = new Uint8Array(size);
  let rules: (KnobRule | undefined)[] | undefined;
  for (const { definition, index } of registry) {
    const { dose, rule } = effective.doseOf(definition);
    const isByPolicy = isLost(definition);
    doses[index] = isByPolicy ? lostDose(definition, dose) : dose;
    if (rule === undefined || isByPolicy) continue;
    rules ??= new Array(size).fill(undefined);
    rules[index] = rule;
  }
  return { doses, rules };
}

function lostDose({ doses, level, onStale }: KnobDefinition, dose: number): number {
  return onStale === 'release' ? 0 : Math.max(dose, doses[level - 1] as number);
}
