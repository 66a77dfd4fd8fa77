import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type FaultProxy, faultProxy } from '../../support/fault-proxy.js';
import { eventually } from '../../support/http-servers.js';
import { echoServer } from '../../support/tcp-echo.js';

describe('fault proxy', () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const one of cleanup.splice(0).reverse()) await one();
  });

  async function open(): Promise<{ proxy: FaultProxy; echo: { connections(): number }; dial: () => Promise<Client> }> {
    const echo = await echoServer();
    const proxy = await faultProxy(echo.port);
    cleanup.push(
      () => echo.close(),
      () => proxy.close(),
    );
    const dial = async () => {
      const socket = connect(proxy.port, '127.0.0.1');
      const client: Client = { socket, text: '', isClosed: false };
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        client.text += bytes.toString();
      });
      socket.once('close', () => {
        client.isClosed = true;
      });
      cleanup.push(() => socket.destroy());
      await once(socket, 'connect');
      return client;
    };
    return { proxy, echo, dial };
  }

  it('passes bytes on as they are, and counts connections', async () => {
    const { proxy, dial } = await open();
    const client = await dial();
    client.socket.write('hello');
    await eventually('the echo', () => client.text === 'hello');
    expect(proxy.connections).toBe(1);
    client.socket.destroy();
    await eventually('the connection is gone', () => proxy.connections === 0);
  });

  it('delays bytes and keeps their order', async () => {
    const { proxy, dial } = await open();
    const client = await dial();
    proxy.delay(20);
    const before = performance.now();
    for (const piece of ['a', 'b', 'c']) client.socket.write(piece);
    await eventually('the echo', () => client.text === 'abc');
    expect(performance.now() - before).toBeGreaterThanOrEqual(38);
  });

  it('drops bytes until it is healed, which ends what lost some', async () => {
    const { proxy, dial } = await open();
    const client = await dial();
    proxy.drop();
    client.socket.write('lost');
    await eventually('it is lost', () => proxy.bytesLost === 4);
    expect([client.text, client.isClosed]).toEqual(['', false]);
    proxy.heal();
    await eventually('the connection is gone', () => client.isClosed);
    const next = await dial();
    next.socket.write('x');
    await eventually('the echo', () => next.text === 'x');
  });

  it('cuts both ends of the connections there are', async () => {
    const { proxy, echo, dial } = await open();
    const client = await dial();
    client.socket.write('x');
    await eventually('the echo', () => client.text === 'x');
    proxy.cut();
    await eventually('both are gone', () => client.isClosed && echo.connections() === 0);
  });

  it('half-open, the server is gone and the client is not told', async () => {
    const { proxy, echo, dial } = await open();
    const client = await dial();
    client.socket.write('x');
    await eventually('the echo', () => client.text === 'x');
    proxy.halfOpen();
    await eventually('the server’s end is gone', () => echo.connections() === 0);
    const late = await dial();
    late.socket.write('y');
    client.socket.write('y');
    await eventually('both are lost', () => proxy.bytesLost === 2);
    expect([client.isClosed, late.isClosed, late.text]).toEqual([false, false, '']);
    proxy.heal();
    await eventually('both are ended', () => client.isClosed && late.isClosed);
  });

  it('duplicates each piece, both ways', async () => {
    const { proxy, dial } = await open();
    const client = await dial();
    proxy.duplicate();
    client.socket.write('x');
    await eventually('the echo', () => client.text === 'xxxx');
  });
});

interface Client {
  socket: Socket;
  text: string;
  isClosed: boolean;
}
