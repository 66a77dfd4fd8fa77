/** What a server of NATS has stored, seen by a client that is not ours. */
import * as nats from '@nats-io/transport-node';
import { createNatsBlobs, createNatsClient } from 'evenkeel/nats';
import { expect } from 'vitest';
import { eventually } from './http-servers.js';
import { movedClock } from './moved-clock.js';

type Place = { readonly servers: string };

/** Messages of a bucket of blobs, `b`: chunks, manifests, intents. */
export async function stored({ servers }: Place): Promise<Record<string, number>> {
  const connection = await nats.connect({ servers });
  const answer = await connection.request('$JS.API.STREAM.INFO.EKB_b', JSON.stringify({ subjects_filter: '>' }));
  await connection.close();
  const counts: Record<string, number> = { c: 0, m: 0, w: 0 };
  const { state } = answer.json<{ state: { subjects?: Record<string, number> } }>();
  for (const subject of Object.keys(state.subjects ?? {})) {
    const kind = subject.split('.')[2] ?? '';
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** Others remove from the bucket `b` what has to go, an hour after they first saw it. */
export async function expectSwept(place: Place, left: { c: number; m: number; w: number }): Promise<void> {
  const clock = movedClock();
  await using client = createNatsClient({ nats, connect: { servers: place.servers }, clock });
  const blobs = createNatsBlobs({ client, bucket: 'b' });
  await eventually('every intent was seen', async () => {
    await (await blobs.writer('look')).abort();
    clock.aheadMs += 61 * 60_000;
    return (await stored(place)).w === 0;
  });
  expect(await stored(place)).toEqual(left);
}

/** Bodies of the items in the queue `q`, whether they wait or somebody has them. */
export function itemsIn(place: Place): Promise<string[]> {
  return bodiesIn(place, 'EKQ_q', '$EKQ.q.>');
}

/** Names of the blobs in the bucket `b` whose writers others have told not to go on. */
export async function markedIn(place: Place): Promise<string[]> {
  const intents = (await bodiesIn(place, 'EKB_b', '$EKB.b.w.*')).map((body) => JSON.parse(body));
  return intents.filter(({ isAbandoned }) => isAbandoned === true).map(({ name }) => name);
}

async function bodiesIn({ servers }: Place, stream: string, subjects: string): Promise<string[]> {
  const connection = await nats.connect({ servers });
  const bodies: string[] = [];
  for (let seq = 1; ; ) {
    const next = JSON.stringify({ seq, next_by_subj: subjects });
    const answer = await connection.request(`$JS.API.STREAM.MSG.GET.${stream}`, next);
    const { message } = answer.json<{ message?: { seq: number; data?: string } }>();
    if (message === undefined) break;
    bodies.push(Buffer.from(message.data ?? '', 'base64').toString());
    seq = message.seq + 1;
  }
  await connection.close();
  return bodies;
}
