import { staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { expect, it } from 'vitest';

it('routes', async () => {
  const transport = createHttpTransport({ undici });
  const serve = () => transport.serve?.({ address: 'http://127.0.0.1:0' }, async () => ({ status: 200, body: 'hello' }));
  const a = await serve();
  const b = await serve();
  const router = createRouter({ service: 's', transport, resolver: staticResolver([a!.address, b!.address]), timeoutMs: 5000 });
  const seen = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const r = await router.call({ path: '/x', body: 'abc' });
    expect(r.status).toBe(200);
    expect(await r.text()).toBe('hello');
    seen.add(r.endpoint);
  }
  expect(seen.size).toBe(2);
  const f = await router.fetch('http://any/x', { method: 'POST', body: 'q' });
  expect(await f.text()).toBe('hello');
  console.log(JSON.stringify(router.snapshot()));
  await router.drain();
  await transport.drain();
  await a!.drain(); await b!.drain();
});
