import { expect, it } from 'vitest';
import { AmbientContext } from '../../../src/core/ambient-context.js';

it('has no context outside run', async () => {
  const ambient = new AmbientContext();
  expect(ambient.get()).toBeUndefined();
  ambient.run({ criticality: 'sheddable' }, () => {});
  expect(ambient.get()).toBeUndefined();
});

it('reaches all that was started inside, nested ones first, and no other runtime', async () => {
  const ambient = new AmbientContext();
  const other = new AmbientContext();
  const seen = await ambient.run({ criticality: 'sheddable' }, async () => {
    await Promise.resolve();
    const inner = ambient.run({ criticality: 'critical-plus' }, () => ambient.get()?.criticality);
    return [inner, ambient.get()?.criticality, other.get()];
  });
  expect(seen).toEqual(['critical-plus', 'sheddable', undefined]);
});
