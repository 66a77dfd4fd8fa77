/** Tables, what changes between them, and both as bytes. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { isEvenkeelError } from '../../src/core/errors.js';
import { emptyTable, type Routing, type RoutingTable, sortedById } from '../../src/router/rib/routing-table.js';
import type { ShardReplica } from '../../src/router/rib/shard-map.js';
import { decodeDelta, decodeTable, encodeDelta, encodeTable } from '../../src/router/rib/table-codec.js';
import { applyDelta, diffTables, isEmptyDelta, mergeDeltas } from '../../src/router/rib/table-delta.js';
import { rounds } from '../support/rounds.js';

const name = fc.oneof(
  fc.constantFrom('a', 'b', 'search-001', 'search-002', 'search-010', '__proto__', 'with\u007fdel', 'ü', '日本', '"\\'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => !/\p{Surrogate}/u.test(text)),
);
const locality = fc.constantFrom('eu/w/a', 'eu/w/b', 'us/e/a', '');
const endpoint = fc.record(
  {
    id: name,
    address: fc.constantFrom('http://10.0.0.1:80', 'http://10.0.0.2:80', 'https://[::1]:8443', 'memory://a'),
    weight: fc.constantFrom(1, 2, 0.25),
    locality,
    attributes: fc.dictionary(fc.constantFrom('version', 'model'), fc.constantFrom('1', '2')),
  },
  { requiredKeys: ['id', 'address', 'weight'] },
);
const replica = fc.record({ endpoint: name, role: fc.constant('replica' as const) });
const shardMap = fc.record({
  version: fc.integer({ min: 1, max: 5 }),
  shards: fc
    .uniqueArray(fc.tuple(name, fc.uniqueArray(replica, { maxLength: 3, selector: (one) => one.endpoint })), {
      maxLength: 5,
      selector: ([shard]) => shard,
    })
    .map((entries) => new Map<string, readonly ShardReplica[]>(entries)),
});
const ratio = fc.constantFrom(0, 0.25, 0.5, 1);
const routing: fc.Arbitrary<Routing> = fc.record({
  localities: fc.array(
    fc.record(
      {
        locality,
        endpoints: fc.nat({ max: 9 }),
        capacity: fc.constantFrom(0, 1.5, 90_000),
        utilization: ratio,
        errorRatio: ratio,
      },
      { requiredKeys: ['locality', 'endpoints', 'capacity'] },
    ),
    { maxLength: 3 },
  ),
  rtts: fc.array(fc.record({ from: locality, to: locality, rttMs: fc.constantFrom(0.5, 30) }), { maxLength: 3 }),
  rings: fc.constantFrom({}, { boundsMs: [1, 2] }, { neighbourMs: 10 }),
  plan: fc.option(
    fc.record({
      clients: fc.array(
        fc.record({
          locality,
          rings: fc.array(
            fc.constantFrom({ localities: [], shares: [] }, { localities: ['eu/w/a', 'x'], shares: [0.25, 0.75] }),
            {
              maxLength: 4,
            },
          ),
        }),
        { maxLength: 3 },
      ),
      full: fc.uniqueArray(locality),
      projected: fc.array(fc.record({ locality, utilization: ratio }), { maxLength: 3 }),
    }),
    { nil: undefined },
  ),
});
const content = fc.record({
  endpoints: fc.uniqueArray(endpoint, { maxLength: 12, selector: ({ id }) => id }).map(sortedById),
  loads: fc.uniqueArray(fc.tuple(name, ratio), { maxLength: 5, selector: ([id]) => id }).map((entries) => new Map(entries)),
  shards: fc.option(shardMap, { nil: undefined }),
  routing,
});

function tables(contents: readonly Omit<RoutingTable, 'service' | 'token' | 'version'>[]): RoutingTable[] {
  // Some have no prototype, which is how they would differ from what JSON makes.
  return contents.map((of, i) => ({ service: 's', token: 7, version: i + 1, ...structuredClone(of) }));
}

describe('a routing table', () => {
  it('is what the difference makes of any other, also as bytes', () => {
    fc.assert(
      fc.property(fc.array(content, { minLength: 2, maxLength: 2 }), (contents) => {
        const [a, b] = tables(contents) as [RoutingTable, RoutingTable];
        const delta = diffTables(a, b);
        assert.deepEqual(applyDelta(a, delta), b);
        assert.deepEqual(decodeDelta(encodeDelta(delta)), delta);
        assert.deepEqual(applyDelta(a, decodeDelta(encodeDelta(delta))), b);
        assert.ok(isEmptyDelta(diffTables(b, { ...b })));
        assert.ok(isEmptyDelta(diffTables(b, decodeTable(encodeTable(b)))));
      }),
      { numRuns: rounds(200) },
    );
  });

  it('comes of a merged delta whichever version between it is applied to', () => {
    fc.assert(
      fc.property(fc.array(content, { minLength: 3, maxLength: 5 }), (contents) => {
        const steps = tables(contents);
        const last = steps.at(-1) as RoutingTable;
        const deltas = steps.slice(1).map((table, i) => diffTables(steps[i] as RoutingTable, table));
        const merged = decodeDelta(encodeDelta(deltas.reduce(mergeDeltas)));
        for (const table of steps) assert.deepEqual(applyDelta(table, merged), last);
      }),
      { numRuns: rounds(200) },
    );
  });

  it('is refused with a code when any byte of it is changed, or any part cut off', () => {
    fc.assert(
      fc.property(content, fc.nat(), fc.integer({ min: 1, max: 255 }), (of, at, change) => {
        const bytes = encodeTable({ ...emptyTable('s'), ...of, token: 1, version: 1 });
        const damaged = bytes.slice();
        damaged[at % bytes.length] = (damaged[at % bytes.length] as number) ^ change;
        for (const wrong of [damaged, bytes.subarray(0, at % bytes.length)]) {
          assert.throws(
            () => decodeTable(wrong),
            (error) => isEvenkeelError(error, 'invalid-argument'),
          );
        }
      }),
      { numRuns: rounds(100) },
    );
  });
});
