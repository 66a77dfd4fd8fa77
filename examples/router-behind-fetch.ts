/** A router behind a fetch function, in front of servers whose handlers are of the fetch style: Request in, Response out. */
import assert from 'node:assert/strict';
import { staticResolver } from 'evenkeel/core';
import { createMemoryCall } from 'evenkeel/memory';
import { createLoadReporter, createRouter } from 'evenkeel/router';
import { callHandler } from './support/call-handler.js';

const transport = createMemoryCall();
for (const name of ['a', 'b']) {
  // Each server counts its own work and tells its load with every answer.
  const handler = createLoadReporter().fetch((request) => Response.json({ from: name, path: new URL(request.url).pathname }));
  await transport.serve({ address: `memory://${name}` }, callHandler(handler));
}
await using router = createRouter({ service: 'hello', resolver: staticResolver(['memory://a', 'memory://b']), transport });

const answers = await Promise.all(Array.from({ length: 20 }, () => router.fetch('/hello').then((response) => response.json())));
const from = answers.map((answer) => (answer as { from: string }).from);
assert.deepEqual([...new Set(from)].sort(), ['a', 'b']);
assert.equal(router.snapshot().calls.ok, 20);
console.log(`20 calls through router.fetch, answered by ${[...new Set(from)].sort().join(' and ')}`);
