/** One list of network faults over every wire that carries calls: what the caller is told is the same. */
import * as grpc from '@grpc/grpc-js';
import * as nats from '@nats-io/transport-node';
import { type CallHandler, type CallTransport, type Endpoint, EvenkeelError, type HeaderList } from 'evenkeel/core';
import { createGrpcTransport } from 'evenkeel/grpc';
import { createHttpTransport } from 'evenkeel/http';
import { createNatsCall, createNatsClient } from 'evenkeel/nats';
import * as undici from 'undici';
import { it as base, describe, expect } from 'vitest';
import { type FaultProxy, faultProxy } from '../support/fault-proxy.js';
import { eventually } from '../support/http-servers.js';
import { natsMissing, natsServer } from '../support/nats-server.js';

interface Wire {
  readonly name: string;
  /** Says `connected` before the server has answered. */
  readonly tellsConnection: boolean;
  /** A client whose way to the server, if it keeps one itself, leads through this port. */
  transport(port: number): CallTransport | Promise<CallTransport>;
  /** Starts a server for the handler; its port is what the proxy stands in front of. */
  serve(handler: CallHandler): Promise<{ port: number; close(): Promise<void> }>;
  /** The server, behind this port. */
  endpoint(port: number): Endpoint;
}

/** A wire whose transport has a server side that listens at `scheme://host:port`. */
function listening(name: string, scheme: string, transport: () => CallTransport): Wire {
  return {
    name,
    tellsConnection: true,
    transport,
    async serve(handler) {
      const server = transport();
      const listener = await server.serve?.({ address: `${scheme}://127.0.0.1:0` }, handler);
      const port = Number(listener?.address.split(':').at(-1));
      return {
        port,
        async close() {
          await listener?.close();
          await server.close();
        },
      };
    },
    endpoint: (port) => ({ id: name, address: `${scheme}://127.0.0.1:${port}` }),
  };
}

/** Over a server of NATS: the caller's connection to it leads through the proxy, the callee's does not. */
const natsWire: Wire = {
  name: 'nats',
  // Until then NATS may say that nobody listens.
  tellsConnection: false,
  transport(port) {
    const client = createNatsClient({ nats, connect: { servers: `nats://127.0.0.1:${port}` } });
    const transport = createNatsCall({ client });
    return {
      start: (to, request, sink) => transport.start(to, request, sink),
      forget: (to) => transport.forget(to),
      drain: () => transport.drain(),
      // The connection is the client's, not the transport's.
      async close() {
        await transport.close();
        await client.close();
      },
    };
  },
  async serve(handler) {
    const server = await natsServer();
    const client = createNatsClient({ nats, connect: { servers: server.servers } });
    const listener = await createNatsCall({ client }).serve({ address: 'nats://echo' }, handler);
    return {
      port: server.port,
      async close() {
        await listener.close();
        await client.close();
        await server[Symbol.asyncDispose]();
      },
    };
  },
  endpoint: () => ({ id: 'nats', address: 'nats://echo' }),
};

const wires: readonly Wire[] = [
  listening('http', 'http', () => createHttpTransport({ undici })),
  listening('grpc', 'grpc', () => createGrpcTransport({ grpc })),
  natsWire,
];

class Outcome {
  readonly log: string[] = [];
  text = '';
  error: EvenkeelError | undefined;
  isOver = false;
  cancel: (code: 'cancelled' | 'deadline-exceeded') => void = () => {};

  onResponse(status: number, _headers: HeaderList): void {
    this.log.push(`response ${status}`);
  }
  onData(chunk: Uint8Array): void {
    this.text += Buffer.from(chunk).toString();
  }
  onEnd(): void {
    this.log.push('end');
    this.isOver = true;
  }
  onError(error: EvenkeelError): void {
    this.log.push('error');
    this.error = error;
    this.isOver = true;
  }
  onPhase(phase: string): void {
    this.log.push(phase);
  }
}

async function echo({ path, body, signal }: Parameters<CallHandler>[0]) {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  if (path.endsWith('Silent')) await gone;
  if (!path.endsWith('Half')) return { status: 200, body: Buffer.concat(chunks) };
  return {
    status: 200,
    body: (async function* () {
      yield 'half';
      await gone;
    })(),
  };
}

describe.each(wires)('$name behind a faulty network', (wire) => {
  const it = wire === natsWire && natsMissing !== undefined ? base.skip : base;

  /** A server behind a proxy, a transport with a connection to it, and the proof that nothing of them is left. */
  async function withFault(
    test: (at: {
      proxy: FaultProxy;
      transport: CallTransport;
      seen: string[];
      start(path?: string, body?: string): Outcome;
      works(): Promise<void>;
    }) => Promise<void>,
  ): Promise<void> {
    const seen: string[] = [];
    const server = await wire.serve((call) => {
      seen.push(call.path);
      return echo(call);
    });
    const proxy = await faultProxy(server.port);
    const transport = await wire.transport(proxy.port);
    const start = (path = '/test.Faults/Echo', body = 'hello') => {
      const outcome = new Outcome();
      const handle = transport.start(wire.endpoint(proxy.port), { path, method: 'POST', body }, outcome);
      outcome.cancel = (code) => handle.cancel(code);
      return outcome;
    };
    const works = () =>
      eventually('a call succeeds', async () => {
        const outcome = start();
        await eventually('it is over', () => outcome.isOver);
        return outcome.error === undefined && outcome.text === 'hello';
      });
    try {
      await works();
      await test({ proxy, transport, seen, start, works });
    } finally {
      await transport.close();
      await eventually('no connection is left', () => proxy.connections === 0);
      await proxy.close();
      await server.close();
    }
  }

  it('a delayed call succeeds', () =>
    withFault(async ({ proxy, start, works }) => {
      proxy.delay(50);
      const outcome = start();
      await eventually('it is over', () => outcome.isOver);
      expect([outcome.error, outcome.text]).toEqual([undefined, 'hello']);
      proxy.heal();
      await works();
    }));

  it('a call whose bytes are dropped ends at its deadline', () =>
    withFault(async ({ proxy, start, works }) => {
      proxy.drop();
      const outcome = start();
      await eventually('it is lost on the wire', () => proxy.bytesLost > 0);
      outcome.cancel('deadline-exceeded');
      await eventually('it is over', () => outcome.isOver);
      expect(outcome.error).toMatchObject({ code: 'deadline-exceeded', retryable: 'unknown' });
      proxy.heal();
      await works();
      expect(outcome.log.filter((what) => what === 'error')).toEqual(['error']);
    }));

  it('a cut before the response is unavailable, and the server may have acted', () =>
    withFault(async ({ proxy, seen, start, works }) => {
      const outcome = start('/test.Faults/Silent');
      await eventually('the handler has it', () => seen.includes('/test.Faults/Silent'));
      proxy.cut();
      await eventually('it is over', () => outcome.isOver);
      expect(outcome.error).toMatchObject({ code: 'unavailable', retryable: 'unknown' });
      await works();
    }));

  it('a cut in the middle of the response is one error and no end', () =>
    withFault(async ({ proxy, start, works }) => {
      const outcome = start('/test.Faults/Half');
      await eventually('half of it is there', () => outcome.text === 'half');
      proxy.cut();
      await eventually('it is over', () => outcome.isOver);
      expect(outcome.error).toMatchObject({ code: 'unavailable', retryable: 'unknown' });
      await works();
      expect(outcome.log.filter((what) => what === 'error' || what === 'end')).toEqual(['error']);
    }));

  it('half-open, a call ends at its deadline, and the next after healing works', () =>
    withFault(async ({ proxy, start, works }) => {
      proxy.halfOpen();
      const outcome = start();
      await eventually('it is on the wire', () => !wire.tellsConnection || outcome.log.includes('connected'));
      outcome.cancel('deadline-exceeded');
      await eventually('it is over', () => outcome.isOver);
      expect(outcome.error?.code).toBe('deadline-exceeded');
      proxy.heal();
      await works();
    }));

  it('half-open, closing the transport returns and ends the call', () =>
    withFault(async ({ proxy, transport, start }) => {
      proxy.halfOpen();
      const outcome = start();
      await eventually('it is on the wire', () => !wire.tellsConnection || outcome.log.includes('connected'));
      await transport.close();
      expect(outcome.error).toMatchObject({ code: 'unavailable', retryable: 'unknown' });
    }));

  it('bytes that come twice are an error with a code or the right answer, never a wrong body', () =>
    withFault(async ({ proxy, start, works }) => {
      proxy.duplicate();
      for (let i = 0; i < 5; i++) {
        const outcome = start();
        await eventually('it is over', () => outcome.isOver);
        if (outcome.error === undefined) expect(outcome.text).toBe('hello');
        else expect(outcome.error).toBeInstanceOf(EvenkeelError);
      }
      proxy.heal();
      await works();
    }));
});
