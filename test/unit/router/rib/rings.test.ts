import { describe, expect, it } from 'vitest';
import { RING_SETTLE_MS, RingSelector, type RingSelectorOptions } from '../../../../src/router/rib/rings.js';
import type { RoutingPlan } from '../../../../src/router/rib/routing-plan.js';
import { emptyTable, type RoutingTable } from '../../../../src/router/rib/routing-table.js';

interface Server {
  readonly endpoint: { readonly id: string; readonly locality?: string };
  readonly weight: number;
}

const servers = (locality: string | undefined, count: number, weight = 1): Server[] =>
  Array.from({ length: count }, (_, i) => ({ endpoint: { id: `${locality}-${i}`, locality }, weight }));

const HOME = [...servers('eu/w/a', 4), ...servers('eu/w/b', 4)];
const NEAR = servers('eu/n/a', 4);
const FAR = servers('us/e/a', 4);

function selector(options: Partial<RingSelectorOptions<Server>> = {}) {
  return new RingSelector<Server>({ locality: 'eu/w/a', ...options });
}

/** Where a thousand calls, evenly spread over the random numbers, go. */
function spread(rings: RingSelector<Server>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < 1000; i++) {
    const set = rings.sets[rings.choose((i + 0.5) / 1000)];
    const name = set === undefined ? 'nobody' : `${set.ring} ${set.locality ?? '*'}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function planned(rings: RoutingPlan['clients'][number]['rings'], locality = 'eu/w/a'): RoutingTable {
  const plan = { clients: [{ locality, rings }], full: [], projected: [] };
  return { ...emptyTable('s'), version: 1, routing: { localities: [], rtts: [], rings: {}, plan } };
}

describe('rings without a plan', () => {
  it('are the same region, neighbours where somebody measured, the continent, and the rest', () => {
    const rings = selector();
    rings.update([...HOME, ...NEAR, ...FAR, ...servers('eu/s/a', 1), ...servers(undefined, 1)]);
    const table = planned([], 'elsewhere');
    rings.setRouting({ ...table, routing: { ...table.routing, rtts: [{ from: 'eu/n', to: 'eu/w', rttMs: 20 }] } });
    expect(rings.sets.map(({ ring, candidates }) => [ring, candidates.length])).toEqual([
      [0, 8],
      [1, 4],
      [2, 1],
      [3, 5],
    ]);
    expect(rings.isPlanned).toBe(false);
  });

  it('send everything to the lowest one where anybody is open', () => {
    const rings = selector();
    rings.update([...HOME, ...NEAR, ...FAR]);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
    rings.update([...NEAR, ...FAR]);
    expect(spread(rings)).toEqual({ '2 *': 1000 });
    rings.update(FAR);
    expect(spread(rings)).toEqual({ '3 *': 1000 });
    rings.update([]);
    expect(rings.choose(0.5)).toBe(-1);
  });

  it('send outward what the open ones of a ring cannot carry', () => {
    const rings = selector();
    rings.update([...HOME.slice(0, 2), ...FAR], [...HOME, ...FAR]);
    // A quarter is open; that is as good as 0.35 of all.
    expect(spread(rings)).toEqual({ '0 *': 350, '3 *': 650 });
    rings.update([...HOME.slice(0, 6), ...FAR], [...HOME, ...FAR]);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
  });

  it('are one for a caller that stands nowhere', () => {
    const rings = selector({ locality: undefined });
    rings.update([...HOME, ...FAR]);
    expect(rings.sets.map(({ ring, candidates }) => [ring, candidates.length])).toEqual([[3, 12]]);
  });

  it('spill as much as brings a ring back to the threshold, wait for the effect, and take it back slowly', () => {
    let load = 1;
    const rings = selector({ loadOf: ({ endpoint }) => (endpoint.locality?.startsWith('eu') ? load : 0.1) });
    rings.update([...HOME, ...FAR]);
    rings.refresh(0);
    expect(spread(rings)).toEqual({ '0 *': 750, '3 *': 250 });
    rings.refresh(RING_SETTLE_MS / 2);
    expect(spread(rings)).toEqual({ '0 *': 750, '3 *': 250 });
    load = 0.72;
    for (let now = 1000; now < 60_000; now += 500) rings.refresh(now);
    // Between threshold and hysteresis nothing moves.
    expect(spread(rings)).toEqual({ '0 *': 750, '3 *': 250 });
    load = 0.4;
    rings.refresh(60_000);
    expect(spread(rings)['0 *']).toBeLessThanOrEqual(1000 - 125);
    rings.refresh(60_500);
    rings.refresh(61_000);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
  });

  it('come to rest at the threshold under their own effect, seen a second late', () => {
    const seen: number[] = [];
    let load = 0;
    const rings = selector({ loadOf: ({ endpoint }) => (endpoint.locality?.startsWith('eu') ? load : 0.1) });
    rings.update([...HOME, ...FAR]);
    const offered = 1.5;
    const past: number[] = [offered];
    for (let now = 0; now < 60_000; now += 250) {
      load = past.at(-4) ?? offered;
      rings.refresh(now);
      past.push(offered * ((rings.chances()[0] ?? 0) / 1));
      seen.push(past.at(-1) ?? 0);
    }
    for (const one of seen.slice(20)) expect(Math.abs(one - 0.75)).toBeLessThan(0.06);
    expect(new Set(seen.slice(-100)).size).toBe(1);
  });

  it('take a ring back slowly that was empty', () => {
    const rings = selector({ loadOf: () => 0.1 });
    rings.update(FAR);
    rings.refresh(0);
    rings.update([...HOME, ...FAR]);
    rings.refresh(500);
    expect(spread(rings)['0 *']).toBeLessThan(150);
    for (let now = 1000; now <= 4500; now += 500) rings.refresh(now);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
  });

  it('keep what they have when those beyond are full as well', () => {
    const rings = selector({ loadOf: () => 1 });
    rings.update([...HOME, ...NEAR, ...FAR]);
    for (let now = 0; now < 20_000; now += 500) rings.refresh(now);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
  });

  it('keep their sets while only shares change', () => {
    let load = 1;
    const rings = selector({ loadOf: () => load });
    rings.update([...HOME, ...FAR]);
    const { sets } = rings;
    rings.refresh(0);
    load = 0.2;
    rings.refresh(5000);
    expect(rings.sets).toBe(sets);
  });
});

describe('rings with a plan', () => {
  it('are drawn by its shares', () => {
    const rings = selector();
    rings.update([...HOME, ...NEAR, ...FAR]);
    rings.setRouting(
      planned([
        { localities: ['eu/w/a', 'eu/w/b'], shares: [0.35, 0.35] },
        { localities: [], shares: [] },
        { localities: ['eu/n/a'], shares: [0.2] },
        { localities: ['us/e/a'], shares: [0.1] },
      ]),
    );
    expect(rings.isPlanned).toBe(true);
    // Shares as the capacities are: one choice among the whole ring.
    expect(spread(rings)).toEqual({ '0 *': 700, '2 *': 200, '3 *': 100 });
    expect(rings.chances().map((chance) => Number(chance.toFixed(3)))).toEqual([0.7, 0.2, 0.1]);
  });

  it('are drawn by locality where the shares are not those of the capacities', () => {
    const rings = selector();
    rings.update(HOME);
    rings.setRouting(planned([{ localities: ['eu/w/a', 'eu/w/b'], shares: [0.9, 0.1] }]));
    expect(spread(rings)).toEqual({ '0 eu/w/a': 900, '0 eu/w/b': 100 });
  });

  it('are those of the region where the plan does not know the zone', () => {
    const rings = selector({ locality: 'eu/w/z' });
    rings.update([...HOME, ...FAR]);
    rings.setRouting(
      planned([
        { localities: ['eu/w/a', 'eu/w/b'], shares: [0.25, 0.25] },
        { localities: ['us/e/a'], shares: [0.5] },
      ]),
    );
    expect(spread(rings)).toEqual({ '0 *': 500, '3 *': 500 });
  });

  it('pass on what a dead one was to have, outward, without another plan', () => {
    const rings = selector();
    const plan = planned([
      { localities: ['eu/w/a'], shares: [0.8] },
      { localities: [], shares: [] },
      { localities: ['eu/n/a'], shares: [0] },
      { localities: ['us/e/a'], shares: [0.2] },
    ]);
    rings.setRouting(plan);
    rings.update([...NEAR, ...FAR], [...HOME, ...NEAR, ...FAR]);
    expect(spread(rings)).toEqual({ '2 *': 800, '3 *': 200 });
    rings.update(FAR, [...HOME, ...NEAR, ...FAR]);
    expect(spread(rings)).toEqual({ '3 *': 1000 });
    rings.update(servers('ap/x/a', 1));
    expect(spread(rings)).toEqual({ '3 *': 1000 });
  });

  it('go by the caller’s own view when the plan does not know it, or is too old', () => {
    const rings = selector();
    rings.update([...HOME, ...FAR]);
    const plan = planned([{ localities: ['us/e/a'], shares: [1] }], 'us/e/a');
    rings.setRouting(plan);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
    const far = planned([
      { localities: ['eu/w/a', 'eu/w/b'], shares: [0, 0] },
      { localities: ['us/e/a'], shares: [1] },
    ]);
    rings.setRouting(far);
    expect(spread(rings)).toEqual({ '3 *': 1000 });
    rings.setRouting(undefined);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
  });

  it('send on in an emergency what the plan did not foresee, and only then', () => {
    let load = 0.79;
    const rings = selector({ loadOf: ({ endpoint }) => (endpoint.locality?.startsWith('eu') ? load : 0.1) });
    rings.update([...HOME, ...FAR]);
    rings.setRouting(planned([{ localities: ['eu/w/a', 'eu/w/b'], shares: [0.5, 0.5] }]));
    rings.refresh(0);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
    load = 1;
    rings.refresh(2000);
    expect(spread(rings)).toEqual({ '0 *': 750, '3 *': 250 });
    load = 0.7;
    for (let now = 3000; now < 6000; now += 250) rings.refresh(now);
    expect(spread(rings)).toEqual({ '0 *': 1000 });
  });

  it('are not built again for a table that brings other things', () => {
    const rings = selector();
    rings.update([...HOME, ...FAR]);
    const table = planned([{ localities: ['eu/w/a', 'eu/w/b'], shares: [0.5, 0.5] }]);
    rings.setRouting(table);
    const { sets } = rings;
    rings.setRouting({ ...table, version: 2, routing: { ...table.routing, localities: [] } });
    expect(rings.sets).toBe(sets);
  });
});

describe('a ring selector', () => {
  it.each([
    ['a threshold of nothing', { threshold: 0 }],
    ['bounds that fall', { rings: { boundsMs: [2, 1] } }],
    ['a hysteresis above the threshold', { hysteresis: 0.8 }],
  ])('refuses %s', (_what, options) => {
    expect(() => selector(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
