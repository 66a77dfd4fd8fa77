import { describe, expect, it } from 'vitest';
import { decodeDemand, encodeDemand, estimateDemand } from '../../../../src/router/rib/demand.js';
import { continentOf, regionOf, ringOf, rttLookup } from '../../../../src/router/rib/locality.js';
import { decodeHead } from '../../../../src/router/rib/rib-keys.js';
import { planRoutingTable } from '../../../../src/router/rib/routing-plan.js';
import { decodeRtt } from '../../../../src/router/rib/rtt.js';
import {
  decodeShardMap,
  encodeShardMap,
  newerShardMap,
  primaryOf,
  replicasOf,
  type ShardMap,
} from '../../../../src/router/rib/shard-map.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const refused = expect.objectContaining({ code: 'invalid-argument' });

describe('a locality', () => {
  it.each([
    ['eu/west/a', 'eu/west', 'eu'],
    ['eu/west/a/rack-3', 'eu/west', 'eu'],
    ['eu/west', 'eu/west', 'eu'],
    ['eu-west-1', 'eu-west-1', ''],
    ['', '', ''],
    [undefined, '', ''],
    ['/', '/', ''],
  ])('%j is of region %j and continent %j', (label, region, continent) => {
    expect([regionOf(label), continentOf(label)]).toEqual([region, continent]);
  });

  it('is in the outermost ring where it is unknown, misspelt, or far', () => {
    const rtt = rttLookup([{ from: 'eu/w', to: 'eu/n', rttMs: 20 }]);
    const ring = (to: string | undefined, rings = {}) => ringOf('eu/w/a', to, rings, rtt);
    expect([ring('eu/w/b'), ring('eu/n/x'), ring('eu/s'), ring('us/e'), ring(''), ring(undefined), ring('EU/w')]).toEqual([
      0, 1, 2, 3, 3, 3, 3,
    ]);
    const bounds = { boundsMs: [5, 25] };
    expect([ring('eu/w/b', bounds), ring('eu/n/a', bounds), ring('eu/s', bounds), ring(undefined, bounds)]).toEqual([0, 1, 2, 2]);
  });

  it('is as far as the pair, else the regions, either way round', () => {
    const rtt = rttLookup([
      { from: 'eu/w', to: 'eu/n', rttMs: 20 },
      { from: 'eu/w/a', to: 'eu/n/a', rttMs: 18 },
      { from: 'eu/w', to: 'us/e', rttMs: Number.NaN },
    ]);
    expect([rtt('eu/w/a', 'eu/n/a'), rtt('eu/n/a', 'eu/w/a'), rtt('eu/n/b', 'eu/w/b'), rtt('eu/w', 'us/e')]).toEqual([
      18,
      18,
      20,
      undefined,
    ]);
  });
});

describe('a shard map', () => {
  const map: ShardMap = {
    version: 4,
    shards: new Map([
      [
        's1',
        [
          { endpoint: 'a', role: 'primary' },
          { endpoint: 'b', role: 'replica' },
        ],
      ],
      ['s2', [{ endpoint: 'b', role: 'replica' }]],
    ]),
  };

  it('comes back as it was written, unknown fields aside, and says who holds what', () => {
    const decoded = decodeShardMap(encodeShardMap(map));
    expect(decoded).toEqual(map);
    expect(primaryOf(decoded, 's1')).toBe('a');
    expect([primaryOf(decoded, 's2'), primaryOf(decoded, 'x'), replicasOf(decoded, 'x')]).toEqual([undefined, undefined, []]);
    const later = bytes('{"v":1,"version":4,"new":1,"shards":{"s":[{"endpoint":"a","role":"replica","x":1}]}}');
    expect(replicasOf(decodeShardMap(later), 's')).toEqual([{ endpoint: 'a', role: 'replica' }]);
  });

  it('is replaced by a newer one only', () => {
    const older = { ...map, version: 3 };
    expect([newerShardMap(map, older), newerShardMap(older, map), newerShardMap(undefined, map)]).toEqual([map, map, map]);
  });

  it.each([
    '{}',
    '{"v":2}',
    '{"v":1,"version":0,"shards":{}}',
    '{"v":1,"version":1}',
    '{"v":1,"version":1,"shards":[]}',
    '{"v":1,"version":1,"shards":{"s":1}}',
    '{"v":1,"version":1,"shards":{"s":[{"endpoint":"a","role":"chief"}]}}',
    '{"v":1,"version":1,"shards":{"s":[{"endpoint":"a","role":"replica"},{"endpoint":"a","role":"replica"}]}}',
    '{"v":1,"version":1,"shards":{"s":[{"endpoint":"a","role":"primary"},{"endpoint":"b","role":"primary"}]}}',
  ])('is refused when it is %s', (text) => {
    expect(() => decodeShardMap(bytes(text))).toThrow(refused);
  });
});

describe('documents of the routing information base', () => {
  it('are refused when they are of another kind', () => {
    for (const text of [
      '',
      'null',
      '[]',
      '{"v":1}',
      '{"v":1,"token":1,"value":{}}',
      '{"v":1,"rps":-1,"locality":"a"}',
      '{"v":1,"locality":1,"rps":1}',
    ]) {
      for (const decode of [decodeHead, decodeRtt, decodeDemand, decodeShardMap])
        expect(() => decode(bytes(text))).toThrow(refused);
    }
  });

  it('tell demand in a few digits', () => {
    expect(decodeDemand(encodeDemand({ locality: 'eu/w', ratePerSecond: 1234.5678 }))).toEqual({
      locality: 'eu/w',
      ratePerSecond: 1230,
    });
  });
});

describe('demand that nobody tells', () => {
  const near = { boundsMs: [5] };

  it('is laid at the door of each locality’s own clients, and of those the plan sends there', () => {
    const served = (a: number, b: number) => [
      { locality: 'a', capacity: 100, utilization: a / 100, ratePerSecond: a },
      { locality: 'b', capacity: 100, utilization: b / 100, ratePerSecond: b },
    ];
    const first = estimateDemand(served(90, 10), undefined, []);
    expect(first).toEqual([
      { locality: 'a', ratePerSecond: 90 },
      { locality: 'b', ratePerSecond: 10 },
    ]);
    const plan = planRoutingTable({ servers: served(90, 10), clients: first, rings: near });
    // As that plan makes it: a keeps 70, and sends 20 to b.
    const next = estimateDemand(served(70, 30), plan, first);
    expect(next.map(({ ratePerSecond }) => Math.round(ratePerSecond))).toEqual([90, 10]);
  });
});
