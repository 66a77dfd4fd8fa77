/** Blobs read from a server whose copy of the bucket lags behind its leader's. */
import * as nats from '@nats-io/transport-node';
import { createNatsBlobs, createNatsClient, type NatsModule } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { natsMissing, natsServer } from '../support/nats-server.js';
import { patternOf, read, write } from '../support/whole-blobs.js';

const CHUNK = 512 * 1024;

/** Its copies have nothing yet: each is asked for what it does not have. */
function laggingPeer() {
  let asked = 0;
  const module: NatsModule = {
    headers: nats.headers,
    async connect(options) {
      const connection = await nats.connect(options);
      const publish = connection.publish.bind(connection);
      connection.publish = (subject, payload, rest) => {
        if (subject !== '$JS.API.DIRECT.GET.EKB_b') return publish(subject, payload, rest);
        asked++;
        publish(subject, JSON.stringify({ last_by_subj: '$EKB.b.c.not-yet.0' }), rest);
      };
      return connection;
    },
  };
  return { module, asked: () => asked };
}

describe.skipIf(natsMissing !== undefined)('a blob that a copy of its bucket does not have yet', { timeout: 60_000 }, () => {
  it('is read from the leader', async () => {
    await using server = await natsServer();
    const peer = laggingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const bytes = patternOf(CHUNK + 1, 1);
    await write(blobs, 'a', bytes);
    expect(Buffer.compare(await read(blobs, 'a', 2 * CHUNK), bytes)).toBe(0);
    expect(peer.asked()).toBe(2);
  });
});
