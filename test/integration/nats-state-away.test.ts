/** Watches that were away for longer than markers of deletes stay: they list anew, whichever of their clocks knows. */
import * as nats from '@nats-io/transport-node';
import { createNatsClient, createNatsState } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { faultProxy } from '../support/fault-proxy.js';
import { eventually } from '../support/http-servers.js';
import { type MovedClock, movedClock } from '../support/moved-clock.js';
import { natsMissing, natsServer } from '../support/nats-server.js';

const AWAY_MS = 11 * 60_000;

/** What no key has hides from a count of messages that one is missing: then the clocks alone must tell. */
const STRAY = '$KV.b.=zz';

const CASES: [string, string | undefined, (clock: MovedClock) => void][] = [
  [
    'a process that was stopped while the calendar was set back',
    STRAY,
    (clock) => {
      clock.aheadMs += AWAY_MS;
    },
  ],
  [
    // The monotonic clock stands still.
    'a machine that slept',
    STRAY,
    (clock) => {
      clock.calendarAheadMs += AWAY_MS;
    },
  ],
  ['a virtual machine that was paused', undefined, () => {}],
];

describe.skipIf(natsMissing !== undefined).each(CASES)('a watch of %s', { timeout: 60_000 }, (_name, stray, pass) => {
  it.each([
    ['nothing', false],
    ['a put', true],
  ])('hears of a delete whose marker was swept, with %s behind it', async (_what, hasMore) => {
    await using server = await natsServer();
    await using proxy = await faultProxy(server.port);
    const clock = movedClock();
    await using client = createNatsClient({ nats, connect: { servers: server.servers }, clock });
    const state = createNatsState({ client, bucket: 'b' });
    await state.put('a', Buffer.from('1'));
    await state.put('b', Buffer.from('1'));
    const connection = await nats.connect({ servers: server.servers });
    if (stray !== undefined) await connection.request(stray);
    const away = movedClock();
    await using reader = createNatsClient({ nats, connect: { servers: `nats://127.0.0.1:${proxy.port}` }, clock: away });
    const there = new Set<string>();
    const watch = createNatsState({ client: reader, bucket: 'b' }).watch('', ({ type, entry }) => {
      if (type === 'reset') there.clear();
      if (type === 'put') there.add(entry?.key ?? '');
      if (type === 'delete') there.delete(entry?.key ?? '');
    });
    await eventually('it has the list', () => there.size === 2 && Number.isFinite(watch.ageMs));
    proxy.halfOpen();
    await state.delete('a');
    if (hasMore) await state.put('b', Buffer.from('2'));
    await eventually('the marker is swept', async () => {
      clock.aheadMs += 60_000;
      await state.get('b');
      const info = await connection.request('$JS.API.STREAM.INFO.KV_b');
      return info.json<{ state: { messages: number } }>().state.messages === (stray === undefined ? 1 : 2);
    });
    await connection.close();
    pass(away);
    proxy.heal();
    await eventually('it knows', () => !there.has('a'));
    expect([...there]).toEqual(['b']);
    watch.close();
  });
});
