/**
 * A long way to a server of this machine: every byte comes half a round trip later, both ways, and the first bytes of a connection one
 * round trip later still, as they would behind its handshake. Beyond that nothing: no loss, no slow start, no TLS (one or two more).
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface LongWay extends AsyncDisposable {
  readonly address: string;
  /** Connections made so far. */
  readonly connections: number;
}

export async function longWay(target: string, rttMs: number): Promise<LongWay> {
  const { port: targetPort } = new URL(target);
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((near) => {
    connections++;
    const far = connect(Number(targetPort), '127.0.0.1');
    const establishedAt = performance.now() + rttMs;
    for (const socket of [near, far]) {
      sockets.add(socket.setNoDelay(true).on('error', () => {}));
      socket.once('close', () => sockets.delete(socket));
    }
    carry(near, far, establishedAt, rttMs / 2);
    carry(far, near, establishedAt, rttMs / 2);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function carry(from: Socket, to: Socket, establishedAt: number, delayMs: number): void {
  let readyAt = 0;
  /** After everything that came before it. */
  const later = (send: () => void) => {
    const now = performance.now();
    readyAt = Math.max(readyAt, Math.max(now, establishedAt) + delayMs);
    setTimeout(send, readyAt - now);
  };
  from.on('data', (bytes) => later(() => to.writable && to.write(bytes)));
  from.on('end', () => later(() => to.end()));
  from.on('close', () => later(() => to.destroy()));
}
