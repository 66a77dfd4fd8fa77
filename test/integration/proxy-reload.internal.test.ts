/** Another config while requests run, and leaving without losing one. */
import type { ServerResponse } from 'node:http';
import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import type { ProxyHealth } from '../../src/cli/proxy/health.js';
import type { AccessEntry } from '../../src/cli/proxy/proxy.js';
import { eventually, httpServer, type TestServer } from '../support/http-servers.js';
import { configOf, http2Client, proxied, rawClient } from '../support/proxied.internal.js';

interface HeldServer {
  readonly server: TestServer;
  /** Answers that wait to be given. */
  readonly held: ServerResponse[];
}

async function heldServer(): Promise<HeldServer> {
  const held: ServerResponse[] = [];
  return { held, server: await httpServer((_request, response) => void held.push(response)) };
}

describe('a reload', () => {
  it('is for requests that come after it; those under way end where they began', async () => {
    const { server: old, held } = await heldServer();
    await using fresh = await httpServer((_request, response) => response.end('fresh'));
    const listen = { addresses: ['127.0.0.1:0'] };
    await using front = await proxied(configOf([old.address], { listen }));
    const underWay = fetch(front.origin).then((response) => response.text());
    await eventually('it is there', () => held.length === 1);
    await front.proxy.reload(configOf([fresh.address], { listen }));
    expect(await (await fetch(front.origin)).text()).toBe('fresh');
    held[0]?.end('old');
    expect(await underWay).toBe('old');
    // Its connections go with the router that they belonged to.
    await eventually('the old server is alone', async () => (await old.connections()) === 0);
    await old.close();
  });

  it('leaves a service alone that is as it was', async () => {
    await using server = await httpServer((_request, response) => response.end('x'));
    const services = (timeoutMs: number) => ({
      services: {
        main: { resolver: { static: [server.address] } },
        other: { resolver: { static: [server.address] }, timeoutMs },
      },
      routes: [{ service: 'main' }, { pathPrefix: '/other', service: 'other' }],
    });
    await using front = await proxied(configOf([], services(1000)));
    await fetch(front.origin);
    await fetch(`${front.origin}/other`);
    await front.proxy.reload(configOf([], services(2000)));
    const { main, other } = front.proxy.health().services;
    expect([main?.calls.ok, other?.calls.ok ?? 0]).toEqual([1, 0]);
  });

  it('cannot move where it listens', async () => {
    await using server = await httpServer((_request, response) => response.end('x'));
    await using front = await proxied(configOf([server.address]));
    const moved = configOf([server.address], { listen: { addresses: ['127.0.0.1:1'] } });
    await expect(front.proxy.reload(moved)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: 'listen cannot be changed by a reload: restart the proxy',
    });
    expect((await fetch(front.origin)).status).toBe(200);
  });

  it('loses no request while configs change under load', async () => {
    await using one = await httpServer((_request, response) => void setTimeout(() => response.end('x'), 2));
    await using two = await httpServer((_request, response) => void setTimeout(() => response.end('x'), 2));
    await using front = await proxied(configOf([one.address]));
    let isOver = false;
    const statuses = new Map<number, number>();
    const lane = async () => {
      while (!isOver) {
        const { statusCode, body } = await undici.request(front.origin, { method: 'POST', body: 'x' });
        await body.dump();
        statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
      }
    };
    const lanes = Array.from({ length: 8 }, lane);
    for (let i = 0; i < 20; i++) {
      const before = statuses.get(200) ?? 0;
      await front.proxy.reload(configOf([i % 2 === 0 ? two.address : one.address]));
      await eventually('requests went through', () => (statuses.get(200) ?? 0) > before + 10);
    }
    isOver = true;
    await Promise.all(lanes);
    expect([...statuses.keys()]).toEqual([200]);
  });
});

describe('a drain', () => {
  it('answers what is in flight, over both protocols, and takes nothing new', async () => {
    const { server, held } = await heldServer();
    await using front = await proxied(configOf([server.address]));
    using raw = await rawClient(front.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    using idle = await rawClient(front.port);
    await using client = http2Client(front.origin);
    const answer = client.request({ ':path': '/' });
    let hasGoaway = false;
    client.session.on('goaway', () => {
      hasGoaway = true;
    });
    await eventually('both are there', () => held.length === 2);
    const drained = front.proxy.drain();
    await eventually('the idle one is closed, the http2 one told', () => idle.isClosed && hasGoaway);
    await expect(fetch(front.origin)).rejects.toThrow();
    expect(front.proxy.health().status).toBe('draining');
    for (const response of held) response.end('done');
    expect((await answer).text).toBe('done');
    expect(await drained).toBe(0);
    await eventually('it is closed', () => raw.isClosed);
    expect(raw.received).toMatch(/connection: close\r\n[\s\S]*done/i);
    expect(await front.proxy.drain()).toBe(0);
    await server.close();
  });

  it('cuts what has not ended within drain.timeoutMs, and says how much', async () => {
    const { server, held } = await heldServer();
    await using front = await proxied(configOf([server.address], { drain: { timeoutMs: 50 } }));
    const outcome = fetch(front.origin).catch(() => 'cut');
    await eventually('it is there', () => held.length === 1);
    expect(await front.proxy.drain()).toBe(1);
    expect(await outcome).toBe('cut');
    await server.close();
  });

  it('says 503 on the health route while new connections are still taken, for lameDuckMs', async () => {
    const { server, held } = await heldServer();
    await using front = await proxied(configOf([server.address], { drain: { lameDuckMs: 60_000 } }));
    const route = `${front.origin}/evenkeel/health`;
    const healthy = await fetch(route);
    expect([healthy.status, ((await healthy.json()) as ProxyHealth).status]).toEqual([200, 'serving']);
    const drained = front.proxy.drain();
    const draining = await fetch(route);
    expect([draining.status, draining.headers.get('connection')]).toEqual([503, 'close']);
    expect(((await draining.json()) as ProxyHealth).status).toBe('draining');
    const late = fetch(front.origin).then((response) => response.text());
    await eventually('it is there', () => held.length === 1);
    held[0]?.end('late');
    expect(await late).toBe('late');
    await front.proxy.close();
    expect(await drained).toBe(0);
    await server.close();
  });
});

describe('what a proxy tells of itself', () => {
  it('is the state of its services on the health route, without their addresses', async () => {
    await using server = await httpServer((_request, response) => response.end('x'));
    await using front = await proxied(configOf([server.address], { healthPath: '/up' }), { version: '1.2.3' });
    await fetch(front.origin);
    const text = await (await fetch(`${front.origin}/up?full`)).text();
    expect(JSON.parse(text)).toMatchObject({
      status: 'serving',
      version: '1.2.3',
      inFlight: 0,
      services: { main: { endpoints: 1, open: 1, calls: { ok: 1 } } },
    });
    expect(text).not.toContain('127.0.0.1');
    expect((await fetch(`${front.origin}/up`, { method: 'HEAD' })).status).toBe(200);
  });

  it('is a line for each request, only when asked to', async () => {
    await using server = await httpServer((_request, response) => response.end('12345'));
    const entries: AccessEntry[] = [];
    const onAccess = (entry: AccessEntry) => entries.push(entry);
    await using silent = await proxied(configOf([server.address]), { onAccess });
    await (await fetch(silent.origin)).text();
    await using front = await proxied(configOf([server.address], { accessLog: true }), { onAccess });
    await (await fetch(`${front.origin}/a?secret=1`, { method: 'POST', body: 'x' })).text();
    await eventually('it is told', () => entries.length > 0);
    expect(entries).toEqual([
      {
        method: 'POST',
        path: '/a',
        status: 200,
        isWhole: true,
        ms: expect.any(Number),
        bytes: 5,
        attempts: 1,
        service: 'main',
        endpoint: server.address,
      },
    ]);
  });
});
