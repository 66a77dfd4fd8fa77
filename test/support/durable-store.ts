/**
 * The stores that outlive a process, by an address that fits on a command line: a test and the programs it kills open the same.
 * Programs import this file from the root: `./test/support/durable-store.ts`.
 */
import * as nats from '@nats-io/transport-node';
import { type BlobTransport, type Clock, liveClock, type QueueTransport, type StateTransport } from 'evenkeel/core';
import { createFileBlobs, createFileQueue, createFileState } from 'evenkeel/files';
import { createNatsBlobs, createNatsClient, createNatsQueue, createNatsState, type NatsClient } from 'evenkeel/nats';

export interface DurableStore {
  state(): StateTransport;
  blobs(): BlobTransport;
  /** @param options - What files take besides. */
  queue(options?: { segmentBytes?: number }): QueueTransport;
}

/** @param address - `files:FOLDER` or `nats://HOST:PORT`. */
export function durableStore(address: string, clock: Clock = liveClock()): DurableStore {
  if (address.startsWith('files:')) {
    const folder = address.slice('files:'.length);
    return {
      state: () => createFileState({ folder, clock }),
      blobs: () => createFileBlobs({ folder }),
      queue: (options) => createFileQueue({ folder, clock, ...options }),
    };
  }
  const opened = <T extends { close(): Promise<void> }>(open: (client: NatsClient) => T): T => {
    const client = createNatsClient({ nats, connect: { servers: address }, clock, timeoutMs: 20_000 });
    const transport = open(client);
    const close = transport.close.bind(transport);
    return Object.assign(transport, {
      async close() {
        await close();
        await client.close();
      },
    });
  };
  return {
    state: () => opened((client) => createNatsState({ client, bucket: 'b' })),
    blobs: () => opened((client) => createNatsBlobs({ client, bucket: 'b' })),
    queue: () => opened((client) => createNatsQueue({ client, name: 'q' })),
  };
}
