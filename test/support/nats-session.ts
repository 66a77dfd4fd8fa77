/** Sessions of the conformance suites on a running nats-server: real time, a name of its own for every session's store. */
import * as nats from '@nats-io/transport-node';
import type { Clock } from 'evenkeel/core';
import { createNatsClient, type NatsClient } from 'evenkeel/nats';
import type { StoreSession } from 'evenkeel/testing';
import { movedClock } from './moved-clock.js';
import type { NatsServer } from './nats-server.js';

export interface NatsPlace {
  readonly client: NatsClient;
  /** Unique to the session. */
  readonly name: string;
  readonly clock: Clock;
}

let sessions = 0;

/** @param open - Opens one more client of the session's store, on a connection of its own. */
export async function natsSession<T extends { close(): Promise<void> }>(
  server: NatsServer,
  open: (place: NatsPlace) => T,
): Promise<StoreSession<T>> {
  const clock = movedClock();
  const name = `s${process.pid}-${++sessions}`;
  const opened: { transport: T; client: NatsClient }[] = [];
  const another = async () => {
    const client = createNatsClient({ nats, connect: { servers: server.servers }, clock });
    const transport = open({ client, name, clock });
    opened.push({ transport, client });
    return transport;
  };
  const close = async () => {
    for (const { transport, client } of opened.splice(0)) {
      await transport.close();
      await client.close();
    }
  };
  return {
    transport: await another(),
    clock,
    another,
    async restart() {
      await close();
      return another();
    },
    advance: (ms) => clock.sleep(ms, undefined, true),
    jumpWallTime(ms) {
      clock.calendarAheadMs += ms;
    },
    close,
  };
}
