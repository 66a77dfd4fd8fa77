import * as undici from 'undici';
import { it, expect } from 'vitest';
import { createHttpTransport } from 'evenkeel/http';

it('smoke', async () => {
  const transport = createHttpTransport({ undici });
  const listener = await transport.serve!({ address: 'http://127.0.0.1:0' }, async (call) => {
    let n = 0;
    for await (const c of call.body) n += c.length;
    return { status: 200, headers: ['x-n', String(n)], body: 'hello' };
  });
  const seen: unknown[] = [];
  await new Promise<void>((resolve) => {
    transport.start({ id: 'a', address: listener.address }, { path: '/x', body: 'abc' }, {
      onResponse: (s, h) => seen.push(s, h.length),
      onData: (c) => seen.push(c.length),
      onEnd: () => { seen.push('end'); resolve(); },
      onError: (e) => { seen.push(e); resolve(); },
    });
  });
  expect(seen).toEqual([200, 10, 5, 'end']);
  await transport.drain();
  await listener.drain();
});
