/** A server of NATS behind a network that fails, and what may happen to that. */
import * as nats from '@nats-io/transport-node';
import { createNatsClient, type NatsClient } from 'evenkeel/nats';
import { type FaultProxy, faultProxy } from './fault-proxy.js';
import { type CountingPeer, countingPeer } from './nats-counting.js';
import { type NatsServer, natsServer } from './nats-server.js';

export const NETWORK_FAULTS: readonly (readonly [string, (proxy: FaultProxy) => void])[] = [
  ['a delay of 100 ms', (proxy) => proxy.delay(100)],
  ['bytes that vanish', (proxy) => proxy.drop()],
  ['a cut', (proxy) => proxy.cut()],
  ['a connection that is half open', (proxy) => proxy.halfOpen()],
  ['bytes that come twice', (proxy) => proxy.duplicate()],
];

export interface ProxiedServer {
  readonly server: NatsServer;
  readonly proxy: FaultProxy;
  /** Through the proxy; counts what it publishes. */
  readonly client: NatsClient;
  readonly peer: CountingPeer;
  /** Around it. */
  readonly direct: NatsClient;
}

/** @param timeoutMs - Of the client behind the proxy. */
export async function behindProxy(timeoutMs: number, test: (place: ProxiedServer) => Promise<void>): Promise<void> {
  await using server = await natsServer();
  const proxy = await faultProxy(server.port);
  const peer = countingPeer();
  const connect = { servers: `nats://127.0.0.1:${proxy.port}` };
  await using client = createNatsClient({ nats: peer.module, connect, timeoutMs });
  await using direct = createNatsClient({ nats, connect: { servers: server.servers } });
  try {
    await test({ server, proxy, client, peer, direct });
  } finally {
    proxy.heal();
    await proxy.close();
  }
}
