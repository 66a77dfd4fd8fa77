/** Routing tables on stores that outlive a process: a table of several pieces, and a builder that stops in the middle. */
import { announce, createRuntime, type Endpoint, type StateTransport } from 'evenkeel/core';
import { createRibBuilder, type RibResolution, ribResolver } from 'evenkeel/router';
import { describe, expect, it } from 'vitest';
import { durableStore } from '../support/durable-store.js';
import { FlakyState } from '../support/flaky-state.js';
import { eventually } from '../support/http-servers.js';
import { RoutingLog } from '../support/rib-rig.js';
import { storePlaces } from '../support/store-places.js';

const LEASE_MS = 600;
const ENDPOINTS = 1500;

const ids = (resolution: RibResolution) => resolution.table?.endpoints.map(({ id }) => id) ?? [];

/** What `announce` writes, and no lease to be renewed. */
async function announceAll(state: StateTransport, endpoints: readonly Endpoint[]): Promise<void> {
  const put = ({ id, ...rest }: Endpoint) => {
    const value = JSON.stringify({ v: 1, endpoint: { id, ...rest }, holder: 'test' });
    return state.put(`services/large/endpoints/${id}`, new TextEncoder().encode(value));
  };
  for (let at = 0; at < endpoints.length; at += 50) await Promise.all(endpoints.slice(at, at + 50).map(put));
}

describe.each(storePlaces)('routing tables on $name', ({ isMissing, open }) => {
  it.skipIf(isMissing)('go over from a builder that stopped in the middle to the next', { timeout: 60_000 }, async () => {
    await using place = await open();
    const store = durableStore(place.address);
    const states = Array.from({ length: 4 }, () => store.state());
    const [one, two, servers, reading] = states as [StateTransport, StateTransport, StateTransport, StateTransport];
    const faulty = new FlakyState(one);
    const first = createRibBuilder({ state: faulty, leaseMs: LEASE_MS, name: 'one' });
    await eventually('one leads', () => first.snapshot().isLeading);
    const second = createRibBuilder({ state: two, leaseMs: LEASE_MS, name: 'two' });
    const announced = ['a', 'b'].map((id) =>
      announce({ state: servers, service: 's', endpoint: { id, address: `http://${id}:80` }, lameDuckMs: 0 }),
    );
    const log = new RoutingLog();
    const resolution = log.start(ribResolver({ state: reading, service: 's' }), createRuntime()) as RibResolution;
    try {
      await eventually('both are in the table', () => ids(resolution).join() === 'a,b');
      faulty.fault = 'hang-after';
      announced.push(announce({ state: servers, service: 's', endpoint: { id: 'c', address: 'http://c:80' }, lameDuckMs: 0 }));
      await eventually('the other leads', () => second.snapshot().isLeading);
      await eventually('all are in the table', () => ids(resolution).join() === 'a,b,c');
      faulty.fault = undefined;
      await announced[0]?.drain();
      await eventually('one has left', () => ids(resolution).join() === 'b,c');
      expect(log.disorders).toEqual([]);
    } finally {
      resolution.close();
      await Promise.all([...announced.map((one) => one.close()), first.close(), second.close()]);
      await Promise.all(states.map((state) => state.close()));
    }
  });

  it.skipIf(isMissing)('come whole although they take several documents', { timeout: 60_000 }, async () => {
    await using place = await open();
    const store = durableStore(place.address);
    const states = [store.state(), store.state()] as const;
    const [state, reading] = states;
    const endpoints = Array.from({ length: ENDPOINTS }, (_, i) => ({
      id: `server-${i}`,
      address: `http://10.0.${i >> 8}.${i & 255}:80`,
      attributes: { note: `${i}-`.repeat(100) },
    }));
    await announceAll(state, endpoints);
    const builder = createRibBuilder({ state, leaseMs: LEASE_MS });
    const log = new RoutingLog();
    const resolution = log.start(ribResolver({ state: reading, service: 'large' }), createRuntime()) as RibResolution;
    try {
      await eventually('the table is there', () => resolution.table?.endpoints.length === ENDPOINTS, 20_000);
      // Readers may know before the builder does that it has published.
      await eventually('the builder knows', () => builder.snapshot().publishedBytes > 600_000);
      const [changed] = endpoints;
      await announceAll(state, [{ ...(changed as Endpoint), address: 'http://elsewhere:80' }]);
      await eventually('the change is there', () => log.endpoints.some(({ address }) => address === 'http://elsewhere:80'));
      await eventually('as a delta', () => builder.snapshot().published.delta === 1);
      expect(builder.snapshot().published.whole).toBe(1);
      expect(log.disorders).toEqual([]);
    } finally {
      resolution.close();
      await builder.close();
      await Promise.all(states.map((one) => one.close()));
    }
  });
});
