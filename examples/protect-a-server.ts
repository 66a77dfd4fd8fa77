/** A server that does eight things at once gets ten times as much: what it can do it does in time, and the rest hears "no" at once. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLimiter, httpLimiter } from 'evenkeel/limiter';

// Eight slots of 20 ms each: 400 requests a second, and what is beyond waits for a slot.
const slots = Array.from({ length: 8 }, () => Promise.resolve());
const work = () => {
  const slot = slots.shift() ?? Promise.resolve();
  const done = slot.then(() => new Promise<void>((resolve) => setTimeout(resolve, 20)));
  slots.push(done);
  return done;
};
const limiter = createLimiter({ name: 'server' });
const server = createServer(
  httpLimiter(limiter)(async (_request, response) => void (await work().then(() => response.end('done')))),
);
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
const burst = await Promise.all(Array.from({ length: 400 }, () => fetch(url).then(({ status }) => status)));
const [served, refused] = [200, 503].map((status) => burst.filter((one) => one === status).length) as [number, number];
server.close();
assert.ok(served > 0 && refused > 0 && served + refused === 400);
assert.equal(limiter.snapshot().admitted.critical, served);
console.log('served what fits, refused the rest with 503');
