import { expect, it } from 'vitest';
import { StateLeases } from '../../../../src/transports/nats/state-leases.js';

it('a lease counts from the moment its revision was first seen', () => {
  const leases = new StateLeases();
  leases.saw('a', 1, 100, 1000);
  leases.saw('a', 1, 100, 1090);
  expect(leases.isOver('a', 1, 1099)).toBe(false);
  expect(leases.isOver('a', 1, 1100)).toBe(true);
});

it('a renewal begins anew, an older revision changes nothing, and a put without a lease ends it', () => {
  const leases = new StateLeases();
  leases.saw('a', 1, 100, 0);
  leases.saw('a', 3, 100, 50);
  leases.saw('a', 2, 100, 500);
  expect(leases.isOver('a', 1, 1000)).toBe(false);
  expect(leases.isOver('a', 3, 149)).toBe(false);
  expect(leases.isOver('a', 3, 150)).toBe(true);
  leases.saw('a', 4, undefined, 60);
  expect(leases.isOver('a', 4, 1e9)).toBe(false);
  expect(leases.nextEndMs).toBe(undefined);
});

it('a lease taken as due stays over, and is due again when its end could not be written', () => {
  const leases = new StateLeases();
  leases.saw('a', 1, 100, 0);
  expect(leases.takeDue(99)).toBe(undefined);
  expect(leases.takeDue(100)).toEqual({ key: 'a', revision: 1 });
  expect(leases.isOver('a', 1, 100)).toBe(true);
  leases.giveBack('a', 1, 600);
  expect(leases.nextEndMs).toBe(600);
});

it('beyond the limit the oldest are forgotten, and without one none', () => {
  const leases = new StateLeases();
  leases.limit = 2;
  for (const key of ['a', 'b', 'c']) leases.saw(key, 1, 100, 0);
  expect(['a', 'b', 'c'].map((key) => leases.isOver(key, 1, 100))).toEqual([false, true, true]);
  leases.limit = Number.POSITIVE_INFINITY;
  leases.saw('a', 1, 100, 0);
  leases.saw('d', 1, 100, 0);
  expect(['a', 'b', 'c', 'd'].map((key) => leases.isOver(key, 1, 100))).toEqual([true, true, true, true]);
});
