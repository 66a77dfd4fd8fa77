import * as nats from '@nats-io/transport-node';
import { type Listener, liveClock } from 'evenkeel/core';
import { createNatsCall, createNatsClient } from 'evenkeel/nats';
import { callConformance } from 'evenkeel/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type NatsServer, natsMissing, natsServer } from '../support/nats-server.js';

describe.skipIf(natsMissing !== undefined)('nats call', { concurrent: true }, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await natsServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const suite = callConformance({
    // A window of 256 KiB each way and a piece of 64 KiB that overshoots it, on both sides of an echo.
    traits: { trailers: true, http: true, maxBufferedBytes: 1024 * 1024, maxBodyBytes: 4 * 1024 * 1024 },
    async open() {
      const clients = [0, 1].map(() => createNatsClient({ nats, connect: { servers: server.servers } }));
      const [transport, far] = clients.map((client) => createNatsCall({ client }));
      if (transport === undefined || far === undefined) throw new Error('two transports were made');
      const listeners: Listener[] = [];
      const clock = liveClock();
      return {
        transport,
        clock,
        async serve(handler) {
          const listener = await far.serve({ address: 'nats://server:0' }, handler);
          listeners.push(listener);
          return { endpoint: { id: listener.address, address: listener.address }, listener };
        },
        unknown: { id: 'nobody', address: 'nats://nobody' },
        advance: (ms) => clock.sleep(ms, undefined, true),
        async close() {
          await Promise.all([...listeners.map((listener) => listener.close()), transport.close(), far.close()]);
          await Promise.all(clients.map((client) => client.close()));
        },
      };
    },
  });
  for (const { name, run } of suite) it(name, run);
});
