/** What writers leave that die or are stopped, and listings over several pages. */
import * as nats from '@nats-io/transport-node';
import type { BlobTransport } from 'evenkeel/core';
import { createNatsBlobs, createNatsClient } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { movedClock } from '../support/moved-clock.js';
import { countingPeer } from '../support/nats-counting.js';
import { natsMissing, natsServer } from '../support/nats-server.js';
import { expectSwept, markedIn, stored } from '../support/nats-streams.js';
import { fill, patternOf, read, write } from '../support/whole-blobs.js';

const CHUNK = 512 * 1024;
const HOUR = 60 * 60_000;

const namesOf = async (blobs: BlobTransport, after: string | undefined, limit: number) =>
  (await blobs.list('', { limit, ...(after === undefined ? undefined : { after }) })).map(({ name }) => name);

/** Its user `weak` removes nothing. */
const NO_PURGE = `authorization { users = [
  { user: app, password: p }, { user: weak, password: p, permissions: { publish: { deny: "$JS.API.STREAM.PURGE.>" } } } ] }
  no_auth_user: app`;

/** Others take the writer of the blob for dead, and come no further than saying so: its chunks stay, and the word beside them. */
async function markAsDead({ servers }: { servers: string }, name: string): Promise<void> {
  const clock = movedClock();
  await using client = createNatsClient({ nats, connect: { servers, user: 'weak', pass: 'p' }, clock });
  const blobs = createNatsBlobs({ client, bucket: 'b' });
  await eventually('it is marked', async () => {
    await blobs.writer('look');
    clock.aheadMs += HOUR + 1;
    return (await markedIn({ servers })).includes(name);
  });
}

const TAKEN_FOR_DEAD = { code: 'aborted', message: expect.stringContaining('its chunks were removed') };

describe.skipIf(natsMissing !== undefined)('the leftovers of blobs on nats', { timeout: 60_000 }, () => {
  it.each([
    // The monotonic clock may stand still meanwhile; where it does not, the request on its way is out of time, too.
    ['slept', 'calendarAheadMs', 'aborted'],
    ['was stopped', 'aheadMs', expect.stringMatching(/^(aborted|unavailable)$/)],
  ] as const)(
    'a writer that %s for over an hour in the middle of its commit names no chunks that others removed',
    async (_how, clockOf, code) => {
      await using server = await natsServer();
      const peer = countingPeer();
      const stopped = movedClock();
      await using slow = createNatsClient({ nats: peer.module, connect: { servers: server.servers }, clock: stopped });
      const writer = await createNatsBlobs({ client: slow, bucket: 'b' }).writer('a');
      await fill(writer, patternOf(2 * CHUNK, 1));
      const looking = peer.hold('$JS.API.STREAM.MSG.GET.EKB_b');
      const committed = writer.commit().catch((error: unknown) => error);
      const goOn = await looking;
      const clock = movedClock();
      await using client = createNatsClient({ nats, connect: { servers: server.servers }, clock });
      const blobs = createNatsBlobs({ client, bucket: 'b' });
      await eventually('the others remove it', async () => {
        await (await blobs.writer('look')).abort();
        clock.aheadMs += HOUR + 1;
        return (await stored(server)).c === 0;
      });
      stopped[clockOf] += HOUR;
      goOn();
      expect(await committed).toMatchObject({ code });
      expect(await blobs.stat('a')).toBe(undefined);
      await eventually('nothing is left', async () => {
        const { c, m, w } = await stored(server);
        return c === 0 && m === 0 && w === 0;
      });
    },
  );

  it('a writer that was stopped in the middle of its commit, and that nobody took for dead, commits', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    const stopped = movedClock();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers }, clock: stopped });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const writer = await blobs.writer('a');
    await fill(writer, patternOf(10, 1));
    const looking = peer.hold('$JS.API.STREAM.MSG.GET.EKB_b');
    const committed = writer.commit();
    const goOn = await looking;
    // The machine slept: its monotonic clock does not know.
    stopped.calendarAheadMs += HOUR;
    goOn();
    expect(await committed).toEqual({ name: 'a', bytes: 10 });
    expect(await blobs.stat('a')).toEqual({ name: 'a', bytes: 10 });
  });

  it('a process that wrote once removes what others left while it lives', async () => {
    await using server = await natsServer();
    {
      await using dying = createNatsClient({ nats, connect: { servers: server.servers } });
      const writer = await createNatsBlobs({ client: dying, bucket: 'b' }).writer('lost');
      await fill(writer, patternOf(3 * CHUNK, 1));
      await eventually('its chunks are stored', async () => (await stored(server)).c === 3);
    }
    const clock = movedClock();
    const timers: (() => void)[] = [];
    const { timer } = clock;
    clock.timer = (ms, fire, holds) => {
      if (ms === 10 * 60_000) timers.push(fire);
      return timer(ms, fire, holds);
    };
    await using client = createNatsClient({ nats, connect: { servers: server.servers }, clock });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'kept', patternOf(10, 1));
    await eventually('what the dead writer left is gone', async () => {
      clock.aheadMs += HOUR + 1;
      timers.pop()?.();
      const { c, w } = await stored(server);
      return c === 1 && w === 0;
    });
    expect(await namesOf(blobs, undefined, 2)).toEqual(['kept']);
  });

  it('chunks that one writer forgets while another is about to replace them keep the word of that one', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    await using slow = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const first = await createNatsBlobs({ client: slow, bucket: 'b' }).writer('a');
    await fill(first, patternOf(2 * CHUNK, 1));
    const forgetting = peer.hold('$JS.API.STREAM.PURGE.EKB_b');
    const committed = first.commit();
    const forget = await forgetting;
    const dying = countingPeer();
    await using client = createNatsClient({ nats: dying.module, connect: { servers: server.servers } });
    const second = await createNatsBlobs({ client, bucket: 'b' }).writer('a');
    await fill(second, patternOf(CHUNK, 2));
    // It dies with its manifest stored, before it removes what that replaced.
    const removing = dying.hold('$JS.API.STREAM.PURGE.EKB_b');
    void second.commit().catch(() => {});
    await removing;
    await client.close();
    forget();
    await committed;
    await expectSwept(server, { c: 1, m: 1, w: 0 });
  });

  it('chunks that a writer replaced, and died before it removed them, are removed by others', async () => {
    await using server = await natsServer();
    const dying = countingPeer();
    await using client = createNatsClient({ nats: dying.module, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'a', patternOf(3 * CHUNK, 1));
    // Its own writer is done with them: nothing beside them speaks of them any more.
    expect(await stored(server)).toEqual({ c: 3, m: 1, w: 0 });
    const writer = await blobs.writer('a');
    await fill(writer, patternOf(2 * CHUNK, 2));
    const removing = dying.hold('$JS.API.STREAM.PURGE.EKB_b');
    void writer.commit().catch(() => {});
    await removing;
    await client.close();
    expect(await stored(server)).toEqual({ c: 5, m: 1, w: 2 });
    await expectSwept(server, { c: 2, m: 1, w: 0 });
  });

  it('a living writer that others marked as dead, and died themselves, does not commit', async () => {
    await using server = await natsServer({ config: NO_PURGE });
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const writer = await blobs.writer('a');
    await fill(writer, patternOf(2 * CHUNK, 1));
    await markAsDead(server, 'a');
    await expect(writer.commit()).rejects.toMatchObject(TAKEN_FOR_DEAD);
    expect(await blobs.stat('a')).toBe(undefined);
    await expectSwept(server, { c: 0, m: 0, w: 0 });
  });

  it('a living writer that others marked as dead, and died themselves, takes no bytes from its next renewal on', async () => {
    await using server = await natsServer({ config: NO_PURGE });
    const clock = movedClock();
    const renewals: (() => void)[] = [];
    const { timer } = clock;
    clock.timer = (ms, fire, holds) => {
      if (ms === 5 * 60_000) renewals.push(fire);
      return timer(ms, fire, holds);
    };
    await using client = createNatsClient({ nats, connect: { servers: server.servers }, clock });
    const writer = await createNatsBlobs({ client, bucket: 'b' }).writer('a');
    await fill(writer, patternOf(2 * CHUNK, 1));
    await markAsDead(server, 'a');
    expect(renewals).toHaveLength(1);
    renewals[0]?.();
    let refusal: unknown;
    await eventually('it is told', async () => {
      const lent = writer.buffer().then(() => writer.write(0));
      refusal = await lent.catch((error: unknown) => error);
      return refusal !== undefined;
    });
    expect(refusal).toMatchObject({ code: 'failed-precondition', cause: TAKEN_FOR_DEAD });
    await expectSwept(server, { c: 0, m: 0, w: 0 });
  });

  it('pieces that nobody waits for come in order, and buffers go on', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const bytes = patternOf(31 * (CHUNK - 1000), 3);
    const writer = await blobs.writer('a');
    const writes: Promise<void>[] = [];
    for (let at = 0; at < bytes.byteLength; at += CHUNK - 1000) {
      (await writer.buffer()).set(bytes.subarray(at, at + CHUNK - 1000));
      writes.push(writer.write(CHUNK - 1000));
    }
    await writer.commit();
    await Promise.all(writes);
    expect(Buffer.compare(await read(blobs, 'a', bytes.byteLength + 1), bytes)).toBe(0);
  });

  it('the server is asked for the names once for all pages of a listing', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    const clock = movedClock();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers }, clock });
    await using other = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const others = createNatsBlobs({ client: other, bucket: 'b' });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await write(blobs, name, patternOf(1, 1));
    const asked = () => peer.published('$JS.API.STREAM.INFO.EKB_b');
    expect(await namesOf(blobs, undefined, 2)).toEqual(['a', 'b']);
    const before = asked();
    await others.delete('c');
    expect(await namesOf(blobs, 'b', 2)).toEqual(['d', 'e']);
    expect(asked()).toBe(before);
    // Another place, our own commit, and a minute: each is a reason to ask.
    expect(await namesOf(blobs, 'a', 2)).toEqual(['b', 'd']);
    expect(asked()).toBe(before + 1);
    await write(blobs, 'd1', patternOf(1, 1));
    expect(await namesOf(blobs, 'd', 1)).toEqual(['d1']);
    await write(others, 'd2', patternOf(1, 1));
    clock.aheadMs += 60_000;
    expect(await namesOf(blobs, 'd1', 5)).toEqual(['d2', 'e', 'f']);
  });
});
