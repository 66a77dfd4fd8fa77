/**
 * A TCP proxy in front of any server, with faults to be switched on: what a network does to bytes, whatever protocol they are.
 *
 * A fault holds for all connections from the moment it is set, until another or `heal()`. Healing also ends the connections that lost
 * or repeated bytes: nothing sound can come over them any more.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections of clients, open now. */
  readonly connections: number;
  /** Bytes swallowed so far, both ways. */
  readonly bytesLost: number;
  /** Every byte comes this many milliseconds later, both ways, in order. */
  delay(ms: number): void;
  /** Bytes are swallowed, both ways; both ends stay connected. */
  drop(): void;
  /** Resets the connections there are, both ways. New ones are fine. */
  cut(): void;
  /** The server's ends are gone and the clients are not told; new connections are accepted and lead nowhere. */
  halfOpen(): void;
  /** Every piece of bytes comes twice, both ways. */
  duplicate(): void;
  /** No fault from here on. */
  heal(): void;
  close(): Promise<void>;
}

type Fault = { kind: 'none' | 'drop' | 'half-open' | 'duplicate' } | { kind: 'delay'; ms: number };

/** @param targetPort - On 127.0.0.1. */
export async function faultProxy(targetPort: number): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  let fault: Fault = { kind: 'none' };
  let bytesLost = 0;
  const onLost = (count: number) => {
    bytesLost += count;
  };
  const server = createServer((client) => {
    const target = fault.kind === 'half-open' ? undefined : connect(targetPort, '127.0.0.1');
    const pair = new Pair(client, target, () => fault, onLost);
    pairs.add(pair);
    client.once('close', () => pairs.delete(pair));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const pair of pairs) pair.cut();
    await closed;
  };
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    get bytesLost() {
      return bytesLost;
    },
    delay(ms) {
      fault = { kind: 'delay', ms };
    },
    drop() {
      fault = { kind: 'drop' };
    },
    cut() {
      for (const pair of pairs) pair.cut();
    },
    halfOpen() {
      fault = { kind: 'half-open' };
      for (const pair of pairs) pair.loseTarget();
    },
    duplicate() {
      fault = { kind: 'duplicate' };
    },
    heal() {
      fault = { kind: 'none' };
      for (const pair of pairs) if (pair.isTainted) pair.cut();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** One client's connection and its continuation to the server. */
class Pair {
  isTainted = false;
  readonly #client: Socket;
  readonly #target: Socket | undefined;
  readonly #fault: () => Fault;
  readonly #onLost: (count: number) => void;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(client: Socket, target: Socket | undefined, fault: () => Fault, onLost: (count: number) => void) {
    this.#client = client;
    this.#target = target;
    this.#fault = fault;
    this.#onLost = onLost;
    this.isTainted = target === undefined;
    for (const socket of [client, target]) socket?.setNoDelay(true).on('error', () => {});
    this.#carry(client, target);
    if (target !== undefined) this.#carry(target, client);
    client.once('close', () => {
      for (const timer of this.#timers) clearTimeout(timer);
      target?.destroy();
    });
    target?.once('close', () => {
      if (this.#fault().kind !== 'half-open') this.#client.destroySoon();
    });
  }

  cut(): void {
    this.#client.resetAndDestroy();
    this.#target?.resetAndDestroy();
  }

  loseTarget(): void {
    this.isTainted = true;
    this.#target?.destroy();
  }

  #carry(from: Socket, to: Socket | undefined): void {
    let readyAt = 0;
    /** After everything that came before it. */
    const later = (send: () => void) => {
      const fault = this.#fault();
      const now = performance.now();
      readyAt = Math.max(readyAt, now + (fault.kind === 'delay' ? fault.ms : 0));
      if (readyAt <= now) return send();
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        send();
      }, readyAt - now);
      this.#timers.add(timer);
    };
    from.on('data', (bytes) => {
      const { kind } = this.#fault();
      const times = to === undefined || kind === 'drop' || kind === 'half-open' ? 0 : kind === 'duplicate' ? 2 : 1;
      if (times !== 1) this.isTainted = true;
      if (times === 0) this.#onLost(bytes.length);
      for (let i = 0; i < times; i++) later(() => to?.writable && to.write(bytes));
    });
    from.on('end', () => later(() => to?.end()));
  }
}
