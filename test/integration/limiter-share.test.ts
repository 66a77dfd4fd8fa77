/** One quota over limiters that meet in a store of a real engine. */

import * as nats from '@nats-io/transport-node';
import type { StateTransport } from 'evenkeel/core';
import { createLimiter, fixedLimit, type Limiter } from 'evenkeel/limiter';
import { createNatsClient, createNatsState } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { durableStore } from '../support/durable-store.js';
import { eventually as eventuallyWithin } from '../support/http-servers.js';
import { natsMissing, natsServer } from '../support/nats-server.js';
import { storePlaces } from '../support/store-places.js';

const QUOTA = 10;
/** A server comes back in its own time on a busy machine. */
const eventually = (what: string, check: () => boolean) => eventuallyWithin(what, check, 20_000);

function sharing(state: StateTransport): Limiter {
  return createLimiter({
    limit: fixedLimit(QUOTA),
    queue: false,
    share: { state, key: 'quotas/search', everyMs: 100, leaseMs: 500, fallback: 2 },
  });
}

const stateOf = (limiter: Limiter) => limiter.snapshot().share?.state;

describe.each(storePlaces)('a quota shared on $name', ({ isMissing, open }) => {
  it.skipIf(isMissing)('is split over two limiters, and whole again for the one that is left', async () => {
    await using place = await open();
    const states = [durableStore(place.address).state(), durableStore(place.address).state()];
    const [one, two] = states.map(sharing) as [Limiter, Limiter];
    await eventually('each has its half', () => one.limit === 5 && two.limit === 5);
    expect([one, two].map(stateOf)).toEqual(['shared', 'shared']);
    await two.close();
    await eventually('the other half is free again', () => one.limit === QUOTA);
    await one.close();
    for (const state of states) await state.close();
  });
});

describe.skipIf(natsMissing !== undefined)('a quota shared on a NATS server that is killed', () => {
  it('leaves each limiter its last share, and is shared again when the server is back', async () => {
    await using server = await natsServer();
    const clients = [0, 1].map(() => createNatsClient({ nats, connect: { servers: server.servers }, timeoutMs: 500 }));
    const states = clients.map((client) => createNatsState({ client, bucket: 'quotas' }));
    const [one, two] = states.map(sharing) as [Limiter, Limiter];
    await eventually('each has its half', () => one.limit === 5 && two.limit === 5);
    await server.kill();
    await eventually('both know that the store is away', () => stateOf(one) === 'kept' && stateOf(two) === 'kept');
    expect([one.limit, two.limit]).toEqual([5, 5]);
    const permits = Array.from({ length: QUOTA }, () => one.tryAcquire());
    expect(permits.filter((permit) => permit !== undefined)).toHaveLength(5);
    for (const permit of permits) permit?.end();
    await server.restart();
    await eventually('it is shared again', () => stateOf(one) === 'shared' && stateOf(two) === 'shared');
    expect(one.limit + two.limit).toBeLessThanOrEqual(QUOTA);
    for (const limiter of [one, two]) await limiter.close();
    for (const state of states) await state.close();
    for (const client of clients) await client.close();
  });
});
