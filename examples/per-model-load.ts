/** Two servers equally busy, with different models: asked before each call, they tell, and it goes where its own model has less to do. */
import assert from 'node:assert/strict';
import { createRuntime, staticResolver } from 'evenkeel/core';
import { createMemoryCall } from 'evenkeel/memory';
import { createLoadReporter, createRouter, polling } from 'evenkeel/router';
import { callHandler } from './support/call-handler.js';

const transport = createMemoryCall();
const serve = async (address: string, othersWork: Record<string, number>) => {
  const runtime = createRuntime();
  for (const [key, calls] of Object.entries(othersWork)) runtime.load.counter(key).begin(calls);
  // Counts the requests it sees by itself, and answers GET /load with the whole board.
  await transport.serve({ address }, callHandler(createLoadReporter({ runtime }).fetch(() => new Response('done'))));
};
await serve('memory://1', { host: 8, 'model:llama': 7, 'model:mistral': 1 });
await serve('memory://2', { host: 8, 'model:llama': 1, 'model:mistral': 7 });

const resolver = staticResolver(['memory://1', 'memory://2']);
const loadSources = [polling({ mode: 'before-dispatch', timeoutMs: 5000 })];
await using router = createRouter({ service: 'llm', resolver, transport, loadSources });
await new Promise((resolve) => router.events.once('endpoints', resolve));
const llama = await router.call({ path: '/generate', model: 'llama' });
const mistral = await router.call({ path: '/generate', model: 'mistral' });
assert.deepEqual([llama.endpoint, mistral.endpoint], ['memory://2', 'memory://1']);
console.log(`llama went to ${llama.endpoint}, mistral to ${mistral.endpoint}: 1 call of its model there, 7 at the other`);
