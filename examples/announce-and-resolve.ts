/** Servers come and go: each announces itself under a lease, the router follows, and a drained server gets no new call. */
import assert from 'node:assert/strict';
import { announce, stateResolver } from 'evenkeel/core';
import { createMemoryCall, createMemoryState } from 'evenkeel/memory';
import { createRouter } from 'evenkeel/router';

const state = createMemoryState(); // for one process; a store on the network serves many
const transport = createMemoryCall();
const router = createRouter({ service: 'search', resolver: stateResolver({ state, service: 'search' }), transport });
const told = () => new Promise((resolve) => router.events.once('endpoints', resolve));
const start = async (address: string) => {
  await transport.serve({ address }, () => ({ status: 200, body: 'found' }));
  const announcement = announce({ state, service: 'search', endpoint: address, lameDuckMs: 0 });
  await told();
  return announcement;
};

const a = await start('memory://a');
const b = await start('memory://b');
const responses = await Promise.all(Array.from({ length: 20 }, () => router.call({ path: '/' })));
assert.deepEqual(new Set(responses.map(({ endpoint }) => endpoint)), new Set(['memory://a', 'memory://b']));
await Promise.all([told(), a.drain()]);
assert.equal((await router.call({ path: '/' })).endpoint, 'memory://b');
console.log(`a and b announced, a drained: ${router.endpoints().map(({ endpoint }) => endpoint.id)} is left`);
await Promise.all([router.close(), b.close()]);
await state.close();
