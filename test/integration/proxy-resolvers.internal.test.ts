/** Where a proxy's endpoints come from, beside its config. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { announce } from 'evenkeel/core';
import { createFileState } from 'evenkeel/files';
import { createRibBuilder, encodeShardMap, shardMapKey } from 'evenkeel/router';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, httpServer, type TestServer } from '../support/http-servers.js';
import { configOf, type Proxied, proxied } from '../support/proxied.internal.js';

let server: TestServer;
let folder: string;
beforeAll(async () => {
  server = await httpServer((_request, response) => response.end('x'));
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const known = (front: Proxied) => front.proxy.health().services.main?.endpoints;
const statusOf = async (front: Proxied) => (await fetch(front.origin)).status;

describe('the endpoints of a service', () => {
  it('come from servers that announce themselves in a folder', async () => {
    await using front = await proxied(configOf([], {}, { resolver: { state: { folder: join(folder, 'state') } } }));
    await eventually('the empty list is known', async () => (await statusOf(front)) === 503);
    const state = createFileState({ folder: join(folder, 'state') });
    const announcement = announce({ state, service: 'main', endpoint: server.address, leaseMs: 5000 });
    await eventually('it is known', () => known(front) === 1);
    expect(await statusOf(front)).toBe(200);
    await announcement.close();
    await state.close();
  });

  it('come from a file, and follow it', async () => {
    const path = join(folder, 'endpoints.json');
    writeFileSync(path, JSON.stringify([server.address]));
    await using front = await proxied(configOf([], {}, { resolver: { file: { path, intervalMs: 100 } } }));
    expect(await statusOf(front)).toBe(200);
    writeFileSync(path, JSON.stringify([server.address, 'http://127.0.0.1:9']));
    await eventually('both are known', () => known(front) === 2);
  });

  it('come from the table of a builder, with who holds which shard', async () => {
    await using other = await httpServer((_request, response) => response.end('other'));
    const path = join(folder, 'rib');
    const state = createFileState({ folder: path });
    const announcements = [server, other].map(({ address }, i) =>
      announce({ state, service: 'main', endpoint: { id: `e${i}`, address }, leaseMs: 5000 }),
    );
    const shards = new Map([['users', [{ endpoint: 'e1', role: 'primary' as const }]]]);
    await state.put(shardMapKey('main'), encodeShardMap({ version: 1, shards }));
    const builder = createRibBuilder({ state });
    await using front = await proxied(configOf([], {}, { resolver: { rib: { folder: path } }, shardHeader: 'X-Shard' }));
    await eventually('both are known', () => known(front) === 2);
    const textOf = async (headers: Record<string, string>) => (await fetch(front.origin, { headers })).text();
    await eventually('the map is known', async () => (await textOf({ 'x-shard': 'users' })) === 'other');
    for (let i = 0; i < 20; i++) expect(await textOf({ 'x-shard': 'users' })).toBe('other');
    expect(new Set(await Promise.all(Array.from({ length: 40 }, () => textOf({})))).size).toBe(2);
    await builder.close();
    for (const announcement of announcements) await announcement.close();
    await state.close();
  });

  it.each(['ring-hash', 'prefix-affinity'])('are one for requests of one key, with %s', async (picker) => {
    await using other = await httpServer((_request, response) => response.end('other'));
    const resolver = { static: [server.address, other.address] };
    await using front = await proxied(configOf([], {}, { resolver, picker, affinityHeader: 'x-session' }));
    const homes: string[] = [];
    let strays = 0;
    for (let key = 0; key < 20; key++) {
      for (let i = 0; i < 5; i++) {
        const text = await (await fetch(front.origin, { headers: { 'x-session': `key ${key}` } })).text();
        if (i === 0) homes.push(text);
        else if (text !== homes[key]) strays++;
      }
    }
    expect(new Set(homes).size).toBe(2);
    // Prefix affinity explores with one call of a hundred.
    expect(strays).toBeLessThanOrEqual(picker === 'ring-hash' ? 0 : 8);
  });

  it('get the shares of their versions', async () => {
    await using other = await httpServer((_request, response) => response.end('other'));
    const endpoints = [server.address, other.address].map((address, i) => ({ address, attributes: { version: String(i) } }));
    const versions = { attribute: 'version', shares: { 1: 1 } };
    await using front = await proxied(configOf([], {}, { resolver: { static: endpoints }, versions, tiers: {} }));
    for (let i = 0; i < 20; i++) expect(await (await fetch(front.origin)).text()).toBe('other');
  });

  it('come from a name', async () => {
    const port = Number(new URL(server.address).port);
    await using front = await proxied(configOf([], {}, { resolver: { dns: { name: 'localhost', port, records: ['A'] } } }));
    expect(await statusOf(front)).toBe(200);
  });
});
