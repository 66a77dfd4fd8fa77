/** A queue on NATS over a connection of its own, and items of text. */
import * as nats from '@nats-io/transport-node';
import type { QueueTransport } from 'evenkeel/core';
import { createNatsClient, createNatsQueue, type NatsClient, type NatsClientOptions, type NatsQueueOptions } from 'evenkeel/nats';
import type { NatsServer } from './nats-server.js';

export interface OpenedQueue extends AsyncDisposable {
  readonly client: NatsClient;
  readonly queue: QueueTransport;
}

export function opened(
  server: Pick<NatsServer, 'servers'>,
  options: Partial<NatsQueueOptions> = {},
  { connect, ...rest }: Partial<NatsClientOptions> = {},
): OpenedQueue {
  const client = createNatsClient({ nats, connect: { servers: server.servers, ...connect }, timeoutMs: 20_000, ...rest });
  const queue = createNatsQueue({ client, name: 'q', ...options });
  return {
    client,
    queue,
    async [Symbol.asyncDispose]() {
      await queue.close();
      await client.close();
    },
  };
}

export const item = (text: string) => ({ body: Buffer.from(text) });
export const textOf = (body: Uint8Array) => Buffer.from(body).toString();
