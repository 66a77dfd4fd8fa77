/**
 * Servers in processes of their own announce themselves, the router in this one finds them, and loses the one that is killed. They
 * meet in a folder; with NATS_URL=nats://127.0.0.1:4222 they meet on a server of NATS, and nothing else changes.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { stateResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { sharedState } from './support/shared-state.js';

const folder = mkdtempSync(`${tmpdir()}/evenkeel-`);
const servers = [1, 2].map(() => fork(new URL('./support/search-server.mjs', import.meta.url), [folder]));
const resolver = stateResolver({ state: sharedState(folder), service: 'search' });
const router = createRouter({ service: 'search', resolver, transport: createHttpTransport({ undici }) });
const known = async (count: number) => {
  while (router.endpoints().length !== count) await new Promise((resolve) => router.events.once('endpoints', resolve));
};
await known(2);
servers[0]?.kill('SIGKILL');
await known(1);
const answer = await (await router.call({ path: '/' })).text();
if (answer !== String(servers[1]?.pid)) throw new Error(`${answer} answered`);
console.log('two processes announced, one killed: the other answers');
rmSync(folder, { recursive: true });
process.exit();
