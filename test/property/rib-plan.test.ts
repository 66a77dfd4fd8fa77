/** A routing plan, applied to its own consequences: it adds up, stays within bounds, and comes to rest. */
import assert from 'node:assert/strict';
import { type PlanInput, planRoutingTable, type RoutingPlan, regionOf, type ServerLocality } from 'evenkeel/router';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const THRESHOLD = 0.75;
/** Of full return in steps of a quarter, and one to find that nothing changes. */
const SETTLED_ROUNDS = 5;
const LOCALITIES = ['eu/w/a', 'eu/w/b', 'eu/n/a', 'us/e/a', 'us/e/b', 'us/w/a', 'ap/s/a', 'lonely', ''];

const fleet = fc.record({
  servers: fc.uniqueArray(
    fc.record({ locality: fc.constantFrom(...LOCALITIES), capacity: fc.double({ min: 0.5, max: 500, noNaN: true }) }),
    { minLength: 2, maxLength: 8, selector: ({ locality }) => locality },
  ),
  clients: fc.uniqueArray(
    fc.record({ locality: fc.constantFrom(...LOCALITIES), weight: fc.double({ min: 0, max: 10, noNaN: true }) }),
    { minLength: 1, maxLength: 8, selector: ({ locality }) => locality },
  ),
  /** Of all capacity. */
  load: fc.double({ min: 0, max: 1.5, noNaN: true }),
  rtts: fc.array(
    fc.record({
      from: fc.constantFrom(...LOCALITIES.map(regionOf)),
      to: fc.constantFrom(...LOCALITIES.map(regionOf)),
      rttMs: fc.double({ min: 0, max: 300, noNaN: true }),
    }),
    { maxLength: 20 },
  ),
  boundsMs: fc.option(fc.constantFrom([5, 30, 90], [50], [1, 2, 3, 4, 5, 6, 7]), { nil: undefined }),
  /** Which server locality is lost, and which fails fast. */
  lost: fc.nat(),
  delay: fc.constantFrom(0, 1, 2),
});

type Fleet = typeof fleet extends fc.Arbitrary<infer T> ? T : never;

function sharesOf(plan: RoutingPlan, client: string): Map<string, number> {
  const of = plan.clients.find(({ locality }) => locality === client) ?? assert.fail('no plan for a client');
  return new Map(of.rings.flatMap(({ localities, shares }) => localities.map((name, i) => [name, shares[i] ?? 0])));
}

function assertAddsUp(plan: RoutingPlan, servers: readonly ServerLocality[]): void {
  const alive = new Set(servers.map(({ locality }) => locality));
  for (const { locality, rings } of plan.clients) {
    const names = rings.flatMap(({ localities }) => localities);
    assert.deepEqual([...names].sort(), [...alive].sort(), 'each server locality is in one ring');
    const shares = [...sharesOf(plan, locality).values()];
    assert.ok(shares.every((share) => share >= 0 && share <= 1 + 1e-9));
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-6, 'shares add up to 1');
  }
}

/** Clients that make calls, servers that report what the plan of some rounds ago made of them. */
class Loop {
  readonly demand: { locality: string; ratePerSecond: number }[];
  readonly plans: RoutingPlan[] = [];

  constructor(
    readonly fleet: Fleet,
    readonly costOfCall = 0.01,
  ) {
    const capacity = fleet.servers.reduce((sum, server) => sum + server.capacity, 0);
    const weight = fleet.clients.reduce((sum, client) => sum + client.weight, 0);
    this.demand = fleet.clients.map((client) => ({
      locality: client.locality,
      ratePerSecond: weight === 0 ? 0 : (client.weight * fleet.load * capacity) / weight / costOfCall,
    }));
  }

  work(plan: RoutingPlan, server: string): number {
    return this.demand.reduce((sum, { locality, ratePerSecond }) => {
      return sum + ratePerSecond * this.costOfCall * (sharesOf(plan, locality).get(server) ?? 0);
    }, 0);
  }

  /** One round over the servers that are there. */
  round(there: readonly string[]): RoutingPlan {
    const { servers, rtts, boundsMs, delay } = this.fleet;
    const seen = this.plans.at(-1 - delay) ?? this.plans[0];
    const input: PlanInput = {
      servers: servers
        .filter(({ locality }) => there.includes(locality))
        .map(({ locality, capacity }) => {
          if (seen === undefined) return { locality, capacity };
          const work = this.work(seen, locality);
          return { locality, capacity, utilization: work / capacity, ratePerSecond: work / this.costOfCall };
        }),
      clients: this.demand,
      rtts,
      ...(boundsMs === undefined ? undefined : { rings: { boundsMs } }),
      ...(this.plans.length === 0 ? undefined : { previous: this.plans.at(-1) }),
    };
    const plan = planRoutingTable(input);
    assertAddsUp(plan, input.servers);
    this.plans.push(plan);
    return plan;
  }
}

/** Rounding aside. */
function assertRests(settled: RoutingPlan, next: RoutingPlan): void {
  assert.deepEqual(next.full, settled.full, 'who is full stays so');
  for (const { locality } of settled.clients) {
    const shares = sharesOf(next, locality);
    for (const [server, share] of sharesOf(settled, locality)) {
      assert.ok(
        Math.abs(share - (shares.get(server) ?? 0)) < 1e-6,
        `${locality} -> ${server}: ${share}, then ${shares.get(server)}`,
      );
    }
  }
}

function assertMonotone(plans: readonly RoutingPlan[]): void {
  const last = plans.at(-1) ?? assert.fail();
  for (const { locality } of last.clients) {
    for (const [server, end] of sharesOf(last, locality)) {
      const path = plans.map((plan) => sharesOf(plan, locality).get(server) ?? 0);
      const start = path[0] ?? 0;
      for (let i = 1; i < path.length; i++) {
        const [before = 0, now = 0] = [path[i - 1], path[i]];
        const isOnTheWay = end >= start ? now >= before - 1e-6 && now <= end + 1e-6 : now <= before + 1e-6 && now >= end - 1e-6;
        assert.ok(isOnTheWay, `${locality} -> ${server}: ${path.map((share) => share.toFixed(4)).join(' ')}`);
      }
    }
  }
}

function assertHeld(loop: Loop, plan: RoutingPlan, there: readonly string[]): void {
  const servers = loop.fleet.servers.filter(({ locality }) => there.includes(locality));
  const capacity = servers.reduce((sum, server) => sum + server.capacity, 0);
  const total = loop.demand.reduce((sum, { ratePerSecond }) => sum + ratePerSecond * loop.costOfCall, 0);
  const bound = Math.max(THRESHOLD, total / capacity) * (1 + 1e-5);
  for (const server of servers) {
    const utilization = loop.work(plan, server.locality) / server.capacity;
    assert.ok(utilization <= bound, `${server.locality} comes to ${utilization}, above ${bound}`);
  }
  const placed = servers.reduce((sum, { locality }) => sum + loop.work(plan, locality), 0);
  assert.ok(Math.abs(placed - total) <= 1e-6 * Math.max(1, total), 'no work is lost and none is made');
}

describe('a routing plan', () => {
  it('settles in less than five rounds after a locality is lost and after it is back, on a straight way, with reports up to two rounds late', () => {
    fc.assert(
      fc.property(fleet, (given) => {
        const loop = new Loop(given);
        const all = given.servers.map(({ locality }) => locality);
        const lost = all[given.lost % all.length];
        for (const there of [all, all.filter((name) => name !== lost), all]) {
          const before = loop.plans.length;
          // What has just changed is told `delay` rounds late.
          for (let i = 0; i < SETTLED_ROUNDS + given.delay; i++) loop.round(there);
          const settled = loop.plans.at(-1) ?? assert.fail();
          assertHeld(loop, settled, there);
          for (let i = 0; i < 4; i++) assertRests(settled, loop.round(there));
          if (before > 0) assertMonotone(loop.plans.slice(before));
        }
      }),
      { numRuns: rounds(300) },
    );
  });

  it('stays as it is while the demand wavers by less than the hysteresis about a full locality', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.72, max: 0.95, noNaN: true }),
        fc.array(fc.double({ min: -0.02, max: 0.02, noNaN: true })),
        (level, wavers) => {
          const servers = ['eu/w', 'eu/n'].map((locality) => ({ locality, capacity: 100 }));
          let previous: RoutingPlan | undefined;
          let turns = 0;
          let direction = 0;
          let last = Number.NaN;
          for (const waver of [0, 0, ...wavers]) {
            const clients = [{ locality: 'eu/w', ratePerSecond: 100 * (level + waver) }];
            previous = planRoutingTable({ servers, clients, workPerCall: 1, previous });
            const near = sharesOf(previous, 'eu/w').get('eu/w') ?? 0;
            const change = Math.abs(near - last) > 0.06 ? Math.sign(near - last) : 0;
            if (change !== 0 && change === -direction) turns++;
            if (change !== 0) direction = change;
            last = near;
            assert.ok((previous.projected[0]?.utilization ?? 0) <= THRESHOLD + 1e-9);
          }
          assert.equal(turns, 0);
        },
      ),
      { numRuns: rounds(100) },
    );
  });

  it('sends nothing to a locality whose calls all fail, while another is well', () => {
    fc.assert(
      fc.property(fleet, (given) => {
        const failing = given.servers[given.lost % given.servers.length]?.locality;
        const loop = new Loop(given);
        const plan = planRoutingTable({
          servers: given.servers.map((server) => ({ ...server, errorRatio: server.locality === failing ? 1 : 0 })),
          clients: loop.demand,
          rtts: given.rtts,
          workPerCall: loop.costOfCall,
        });
        for (const { locality } of plan.clients) assert.equal(sharesOf(plan, locality).get(failing ?? ''), 0);
      }),
      { numRuns: rounds(100) },
    );
  });

  it('is the same for the same input, in whatever order localities are given', () => {
    fc.assert(
      fc.property(fleet, (given) => {
        const loop = new Loop(given);
        const plan = (servers: Fleet['servers']) =>
          planRoutingTable({ servers, clients: loop.demand, rtts: given.rtts, workPerCall: loop.costOfCall });
        const [forth, back] = [plan(given.servers), plan([...given.servers].reverse())];
        for (const { locality } of given.clients) {
          const shares = sharesOf(back, locality);
          for (const [server, share] of sharesOf(forth, locality)) assert.ok(Math.abs(share - (shares.get(server) ?? 0)) < 1e-6);
        }
      }),
      { numRuns: rounds(100) },
    );
  });
});
