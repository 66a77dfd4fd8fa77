/** Rings around a caller, whatever the plan says and whoever is open: nobody is chosen who is not there, and nothing is lost. */
import assert from 'node:assert/strict';
import { planRoutingTable, RingSelector, type RoutingTable } from 'evenkeel/router';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const LOCALITIES = ['eu/w/a', 'eu/w/b', 'eu/n/a', 'us/e/a', 'ap/s/a', 'lonely', ''];
const locality = fc.constantFrom(...LOCALITIES);
const member = fc.record({
  locality,
  weight: fc.constantFrom(1, 2, 0.5),
  isOpen: fc.boolean(),
  load: fc.constantFrom(0, 0.7, 0.9, 3, Number.NaN),
});
const step = fc.oneof(
  fc.record({ do: fc.constant('members' as const), members: fc.array(member, { maxLength: 12 }) }),
  fc.record({
    do: fc.constant('plan' as const),
    servers: fc.uniqueArray(fc.record({ locality, capacity: fc.nat({ max: 10 }) }), {
      selector: (one) => one.locality,
      maxLength: 6,
    }),
    rate: fc.nat({ max: 20 }),
    boundsMs: fc.option(fc.constantFrom([5, 30], [50]), { nil: undefined }),
  }),
  fc.record({ do: fc.constant('no plan' as const) }),
  fc.record({ do: fc.constant('look' as const), ms: fc.nat({ max: 3000 }) }),
);

function tableOf(
  caller: string,
  { servers, rate, boundsMs }: Extract<typeof step extends fc.Arbitrary<infer T> ? T : never, { do: 'plan' }>,
) {
  const rings = boundsMs === undefined ? {} : { boundsMs };
  const plan = planRoutingTable({ servers, clients: [{ locality: caller, ratePerSecond: rate }], rings, workPerCall: 1 });
  const routing = { localities: [], rtts: [], rings, plan };
  return {
    service: 's',
    token: 1,
    version: 1,
    endpoints: [],
    loads: new Map(),
    shards: undefined,
    routing,
  } satisfies RoutingTable;
}

describe('rings around a caller', () => {
  it('choose with chances that add up to 1 among sets that hold each open endpoint at most once', () => {
    fc.assert(
      fc.property(locality, fc.array(step, { maxLength: 12 }), (caller, steps) => {
        type Member = { endpoint: { locality: string }; weight: number; load: number };
        const rings = new RingSelector<Member>({ locality: caller, loadOf: ({ load }) => load });
        let open: Member[] = [];
        let now = 0;
        for (const current of steps) {
          if (current.do === 'members') {
            const known = current.members.map(({ locality: at, ...rest }) => ({ endpoint: { locality: at }, ...rest }));
            open = known.filter(({ isOpen }) => isOpen);
            rings.update(open, known);
          } else if (current.do === 'plan') rings.setRouting(tableOf(caller, current));
          else if (current.do === 'no plan') rings.setRouting(undefined);
          else {
            now += current.ms;
            rings.refresh(now);
          }
          const chances = rings.chances();
          if (open.length === 0) {
            assert.equal(rings.choose(0.5), -1);
            continue;
          }
          assert.ok(Math.abs(chances.reduce((sum, chance) => sum + chance, 0) - 1) < 1e-9, 'chances add up to 1');
          assert.ok(chances.every((chance) => chance >= -1e-12));
          const listed = rings.sets.flatMap(({ candidates }) => candidates);
          assert.equal(new Set(listed).size, listed.length);
          assert.ok(listed.every((candidate) => open.includes(candidate)));
          assert.ok(
            rings.sets.every(({ ring }, i) => ring >= (rings.sets[i - 1]?.ring ?? 0)),
            'nearest first',
          );
          for (let i = 0; i < 20; i++) {
            const chosen = rings.choose((i + 0.5) / 20);
            assert.ok((rings.sets[chosen]?.candidates.length ?? 0) > 0);
            assert.ok((chances[chosen] ?? 0) > 0);
          }
        }
      }),
      { numRuns: rounds(300) },
    );
  });
});
