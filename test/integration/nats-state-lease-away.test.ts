/** Leases that run out while the server is away: whoever watches ends them once it is back. */
import * as nats from '@nats-io/transport-node';
import { createNatsClient, createNatsState } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { faultProxy } from '../support/fault-proxy.js';
import { eventually } from '../support/http-servers.js';
import { movedClock } from '../support/moved-clock.js';
import { countingPeer } from '../support/nats-counting.js';
import { natsMissing, natsServer } from '../support/nats-server.js';

const LEASE_MS = 60_000;

describe.skipIf(natsMissing !== undefined)('a lease that runs out while the server is away', { timeout: 60_000 }, () => {
  it('is ended by those who watch, once the server is back', async () => {
    await using server = await natsServer();
    await using proxy = await faultProxy(server.port);
    const peer = countingPeer();
    const connect = { servers: `nats://127.0.0.1:${proxy.port}` };
    // One try a request: what is published once more is another attempt to end the lease.
    const times = { timeoutMs: 100, requestTimeoutMs: 100 };
    const clock = movedClock();
    let runOut: (() => void) | undefined;
    const { timer } = clock;
    clock.timer = (ms, fire, holds) => {
      if (ms > 0.9 * LEASE_MS) runOut = fire;
      return timer(ms, fire, holds);
    };
    await using client = createNatsClient({ nats: peer.module, connect, clock, ...times });
    await using holder = createNatsClient({ nats, connect: { servers: server.servers } });
    const events: string[] = [];
    const watching = createNatsState({ client, bucket: 'b' });
    const watch = watching.watch('', ({ type, entry }) => {
      if (type === 'put' || type === 'expired') events.push(`${type} ${entry?.key}`);
    });
    await eventually('it has the list', () => Number.isFinite(watch.ageMs));
    await createNatsState({ client: holder, bucket: 'b' }).put('a', Buffer.from('1'), { leaseMs: LEASE_MS });
    await eventually('it has seen the lease', () => events.length === 1);
    proxy.drop();
    clock.aheadMs += LEASE_MS;
    runOut?.();
    await eventually('it could not end it, and tries again', () => peer.published('$KV.b.a') >= 2);
    expect(events).toEqual(['put a']);
    proxy.heal();
    await eventually('it has ended', () => events.length > 1);
    expect(events).toEqual(['put a', 'expired a']);
    watch.close();
  });
});
