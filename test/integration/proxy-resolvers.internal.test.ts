/** Where a proxy's endpoints come from, beside its config. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { announce } from 'evenkeel/core';
import { createFileState } from 'evenkeel/files';
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

  it('come from a name', async () => {
    const port = Number(new URL(server.address).port);
    await using front = await proxied(configOf([], {}, { resolver: { dns: { name: 'localhost', port, records: ['A'] } } }));
    expect(await statusOf(front)).toBe(200);
  });
});
