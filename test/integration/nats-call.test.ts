/** Calls over NATS when one of the three dies: the caller, the server, NATS itself. */
import assert from 'node:assert/strict';
import * as nats from '@nats-io/transport-node';
import { createRuntime, type EvenkeelError, staticResolver } from 'evenkeel/core';
import { createNatsCall, createNatsClient } from 'evenkeel/nats';
import { createRouter } from 'evenkeel/router';
import { describe, expect, it } from 'vitest';
import { childProgram, SayingChild } from '../support/child-program.js';
import { eventually } from '../support/http-servers.js';
import { natsMissing, natsServer } from '../support/nats-server.js';

const SERVER = `
import * as nats from '@nats-io/transport-node';
import { createNatsCall, createNatsClient } from 'evenkeel/nats';
const transport = createNatsCall({ client: createNatsClient({ nats, connect: { servers: process.argv[2] } }) });
await transport.serve({ address: 'nats://worker' }, (call) => {
  if (call.path === '/wait') return new Promise(() => {});
  return { status: 200, body: (async function* () { for (;;) { yield 'tick'; await new Promise((go) => setTimeout(go, 20)); } })() };
});
console.log(JSON.stringify('ready'));
process.stdin.on('end', () => process.exit()).resume();
`;

const CALLER = `
import * as nats from '@nats-io/transport-node';
import { createNatsCall, createNatsClient } from 'evenkeel/nats';
const transport = createNatsCall({ client: createNatsClient({ nats, connect: { servers: process.argv[2] } }) });
const sink = { onResponse() {}, onData() { console.log(JSON.stringify('data')); }, onEnd() {}, onError() {} };
transport.start({ id: 's', address: 'nats://here' }, { path: '/' }, sink);
process.stdin.on('end', () => process.exit()).resume();
`;

function started(transport: ReturnType<typeof createNatsCall>, address: string, path: string) {
  const call = { bytes: 0, ended: false, error: undefined as EvenkeelError | undefined };
  transport.start(
    { id: address, address },
    { path },
    {
      onResponse() {},
      onData(chunk) {
        call.bytes += chunk.byteLength;
      },
      onEnd() {
        call.ended = true;
      },
      onError(error) {
        call.error = error;
      },
    },
  );
  return call;
}

describe.skipIf(natsMissing !== undefined)('a call over nats', { timeout: 60_000 }, () => {
  it('whose server is killed ends with unavailable, streaming or not, and a new server takes the address', async () => {
    using program = await childProgram(SERVER);
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const transport = createNatsCall({ client });
    const child = new SayingChild(program, [server.servers]);
    await child.hasSaid(1);
    const streaming = started(transport, 'nats://worker', '/stream');
    const waiting = started(transport, 'nats://worker', '/wait');
    await eventually('it streams', () => streaming.bytes > 0);
    await child.kill();
    await eventually('both are over', () => streaming.error !== undefined && waiting.error !== undefined, 15_000);
    for (const { error } of [streaming, waiting]) expect(error).toMatchObject({ code: 'unavailable', retryable: 'unknown' });
    const again = new SayingChild(program, [server.servers]);
    await again.hasSaid(1);
    const next = started(transport, 'nats://worker', '/stream');
    await eventually('it streams', () => next.bytes > 0);
    await again.kill();
    await transport.close();
  });

  it('whose caller is killed aborts the handler’s signal and returns the answer', async () => {
    using program = await childProgram(CALLER);
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const transport = createNatsCall({ client });
    let aborted = 0;
    let returned = 0;
    const listener = await transport.serve({ address: 'nats://here' }, (call) => {
      call.signal.addEventListener('abort', () => aborted++);
      const body = (async function* () {
        try {
          for (;;) {
            yield 'tick';
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        } finally {
          returned++;
        }
      })();
      return { status: 200, body };
    });
    const child = new SayingChild(program, [server.servers]);
    await child.hasSaid(3);
    await child.kill();
    await eventually('the handler heard', () => aborted === 1 && returned === 1, 15_000);
    await listener.drain();
  });

  it('on a server of NATS that is killed ends at once on both sides, and the next one goes through', async () => {
    await using server = await natsServer();
    await using near = createNatsClient({ nats, connect: { servers: server.servers } });
    await using far = createNatsClient({ nats, connect: { servers: server.servers } });
    let [held, aborted] = [0, 0];
    const listener = await createNatsCall({ client: far }).serve({ address: 'nats://far' }, (call) => {
      if (call.path === '/quick') return { status: 200, body: 'quick' };
      held++;
      call.signal.addEventListener('abort', () => aborted++);
      return new Promise(() => {});
    });
    const transport = createNatsCall({ client: near });
    const lost = started(transport, 'nats://far', '/wait');
    await eventually('the handler has it', () => held === 1);
    await server.kill();
    await eventually('both sides know', () => lost.error !== undefined && aborted === 1);
    expect(lost.error).toMatchObject({ code: 'unavailable', retryable: 'unknown' });
    await server.restart();
    await eventually('the next goes through', async () => {
      const next = started(transport, 'nats://far', '/quick');
      await eventually('it is over', () => next.ended || next.error !== undefined);
      return next.ended;
    });
    await listener.close();
  });

  it('on a client first used while NATS is away goes through when it is back', async () => {
    await using server = await natsServer();
    await using near = createNatsClient({ nats, connect: { servers: server.servers } });
    await using far = createNatsClient({ nats, connect: { servers: server.servers } });
    const first = createNatsCall({ client: near });
    const listener = await createNatsCall({ client: far }).serve({ address: 'nats://far' }, () => ({ status: 200 }));
    const warm = started(first, 'nats://far', '/');
    await eventually('it is over', () => warm.ended);
    await server.kill();
    await eventually('the loss is known', () => !near.isConnected);
    // Its subscription is asked for while there is no connection.
    const second = createNatsCall({ client: near });
    const call = started(second, 'nats://far', '/');
    await server.restart();
    await eventually('it is over', () => call.ended || call.error !== undefined);
    await eventually('the next goes through', async () => {
      const next = started(second, 'nats://far', '/');
      await eventually('it is over', () => next.ended || next.error !== undefined);
      return next.ended;
    });
    await listener.close();
  });

  it('an address has one server: a second one is refused', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const transport = createNatsCall({ client });
    const listener = await transport.serve({ address: 'nats://one' }, () => ({ status: 200 }));
    await expect(transport.serve({ address: 'nats://one' }, () => ({ status: 200 }))).rejects.toMatchObject({
      code: 'already-exists',
    });
    await listener.close();
    await (await transport.serve({ address: 'nats://one' }, () => ({ status: 200 }))).close();
    for (const address of ['http://one', 'nats://a b', 'nats://a.*', 'nats://', 7]) {
      await expect(transport.serve({ address: address as string }, () => ({ status: 200 }))).rejects.toMatchObject({
        code: 'invalid-argument',
      });
    }
  });

  it('a router routes over it as over http', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const transport = createNatsCall({ client });
    const listeners = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        transport.serve({ address: `nats://${name}` }, async (call) => {
          for await (const _ of call.body);
          return { status: name === 'b' ? 503 : 200, body: name };
        }),
      ),
    );
    const router = createRouter({
      service: 'search',
      resolver: staticResolver(listeners.map(({ address }) => address)),
      transport,
      runtime: createRuntime(),
    });
    for (let i = 0; i < 20; i++) {
      const response = await router.call({ path: '/search?q=1', body: 'x', idempotent: true });
      assert.equal(response.status, 200);
      expect(['a', 'c']).toContain(await response.text());
    }
    await router.drain();
    await Promise.all(listeners.map((listener) => listener.close()));
  });

  it('on a server that takes small messages streams both ways, and carries whole bodies in pieces', async () => {
    await using server = await natsServer({ config: 'max_payload: 4000' });
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const transport = createNatsCall({ client });
    const listener = await transport.serve({ address: 'nats://echo' }, async (call) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of call.body) pieces.push(piece);
      const body = Buffer.concat(pieces);
      return {
        status: 200,
        body:
          call.path === '/whole'
            ? body
            : (async function* () {
                yield body;
              })(),
      };
    });
    const bytes = new Uint8Array(200_000).map((_, i) => i * 7);
    for (const path of ['/whole', '/streamed']) {
      const received: Uint8Array[] = [];
      await new Promise<void>((onEnd, onError) => {
        const sink = { onResponse() {}, onData: (piece: Uint8Array) => received.push(piece), onEnd: () => onEnd(), onError };
        transport.start({ id: 'echo', address: 'nats://echo' }, { path, body: bytes }, sink);
      });
      expect(Buffer.compare(Buffer.concat(received), bytes)).toBe(0);
    }
    await listener.close();
  });
});
