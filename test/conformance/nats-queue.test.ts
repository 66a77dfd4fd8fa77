import { createNatsQueue } from 'evenkeel/nats';
import { queueConformance } from 'evenkeel/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type NatsServer, natsMissing, natsServer } from '../support/nats-server.js';
import { natsSession } from '../support/nats-session.js';

const traits = {
  durable: true,
  wallTime: true,
  minLeaseMs: 100,
  marginMs: 1500,
  // The server counts what waits for its next delivery as delivered.
  tellsWaiting: false,
};

describe.skipIf(natsMissing !== undefined)('nats queue', { concurrent: true }, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await natsServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const open = () => natsSession(server, ({ client, name }) => createNatsQueue({ client, name }));
  for (const { name, run } of queueConformance({ traits, open })) it(name, { timeout: 60_000 }, run);
});
