import { createNatsState } from 'evenkeel/nats';
import { stateConformance } from 'evenkeel/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type NatsServer, natsMissing, natsServer } from '../support/nats-server.js';
import { natsSession } from '../support/nats-session.js';

const traits = {
  durable: true,
  wallTime: true,
  minLeaseMs: 100,
  leaseMarginMs: 400,
  headEveryMs: 2000,
  // A value that is put again before it was delivered is delivered once.
  everyChange: false,
};

describe.skipIf(natsMissing !== undefined)('nats state', { concurrent: true }, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await natsServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const open = () => natsSession(server, ({ client, name }) => createNatsState({ client, bucket: name }));
  for (const { name, run } of stateConformance({ traits, open })) it(name, run);
});
