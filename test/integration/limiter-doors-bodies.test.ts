/** What becomes of a connection whose request was refused with its body unread. */
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { ask, DOOR_KINDS, limitedServer, limiterRig, type RawHandler } from '../support/limiter-doors.js';

const MEGABYTE = Buffer.alloc(1_000_000);
const hello: RawHandler = (_request, response) => response.end('hello');

describe.each(DOOR_KINDS)('the door of %s', (kind) => {
  it.each([false, true])('keeps the connection after refusing a megabyte (chunked: %s)', async (isChunked) => {
    const { limiter } = limiterRig({ queue: false });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await using server = await limitedServer(kind, limiter, hello);
    const held = limiter.tryAcquire();
    const refused = [];
    for (let i = 0; i < 5; i++) refused.push(await ask(server, { body: MEGABYTE, isChunked, agent }));
    held?.end();
    const served = await ask(server, { body: Buffer.from('x'), agent });
    expect(refused.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    expect(new Set([...refused, served].map(({ port }) => port)).size).toBe(1);
    expect([served.status, served.body, server.parsed()]).toEqual([200, 'hello', 1]);
    agent.destroy();
  });

  it.each([false, true])(
    'answers, and then gives up a connection with more than that to come (chunked: %s)',
    async (isChunked) => {
      const { limiter } = limiterRig({ queue: false });
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      await using server = await limitedServer(kind, limiter, hello);
      const held = limiter.tryAcquire();
      const { status } = await ask(server, { body: Buffer.alloc(50_000_000), isChunked, agent });
      await eventually('the connection is gone', async () => (await server.connections()) === 0);
      held?.end();
      expect([status, (await ask(server, { agent })).status, server.parsed()]).toEqual([503, 200, kind === 'fastify' ? 0 : 1]);
      agent.destroy();
    },
  );

  it('takes a body that never ends off the wire without keeping it, and then gives up', async () => {
    const { limiter } = limiterRig({ queue: false });
    await using server = await limitedServer(kind, limiter, hello);
    using _held = limiter.tryAcquire();
    const socket = connect(Number(new URL(server.address).port), '127.0.0.1');
    let isOver = false;
    let heard = '';
    socket
      .on('error', () => {})
      .on('close', () => {
        isOver = true;
      });
    socket.on('data', (piece) => {
      heard += piece.toString();
    });
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const more = () => {
      while (!isOver && socket.write(chunk));
      if (!isOver) socket.once('drain', more);
    };
    more();
    await eventually('it is over', () => isOver);
    expect(heard).toContain('503');
    expect(server.parsed()).toBe(0);
  });
});
