import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { staticResolver } from '../../../src/core/index.js';
import { createRouter, type RouterEvents } from '../../../src/router/index.js';
import { createMemoryCall } from '../../../src/transports/memory/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { assertBalanced } from '../../support/router-rig.js';

const SERVERS = 20;
const CALLS = 2000;
const EVENTS: (keyof RouterEvents)[] = ['pick', 'retry', 'eject', 'return', 'health', 'panic', 'endpoints', 'broken-report'];

/** Twenty servers with moods of their own, two thousand calls at random times; a hash of all that happened and when. */
async function trace(seed: number): Promise<{ hash: string; events: number; outcomes: Record<string, number> }> {
  const runtime = fakeRuntime({ seed });
  const { clock } = runtime;
  const transport = createMemoryCall({ clock });
  const servers = Array.from({ length: SERVERS }, (_, i) => `memory://s${i}`);
  for (const [i, address] of servers.entries()) {
    const random = runtime.random.fork(address);
    await transport.serve({ address }, async ({ path, signal }) => {
      if (path === '/health') return { status: random.next() < 0.05 ? 500 : 200 };
      await clock.sleep(5 + 40 * random.next() * (i % 5 === 0 ? 10 : 1), signal).catch(() => {});
      const mood = random.next();
      const headers = ['endpoint-load-metrics', mood < 0.02 ? 'TEXT broken' : `TEXT named_metrics.host=${random.int(20)}`];
      if (mood < 0.1 || (i === 3 && clock.now() < 4000)) return { status: 500, headers };
      if (mood < 0.15) return { status: 503, headers: [...headers, 'evenkeel-rejected', '1'] };
      if (mood < 0.2) throw new Error('the handler broke');
      return { status: 200, headers, body: `${i}` };
    });
  }
  const router = createRouter({
    service: 'trace',
    transport,
    resolver: staticResolver(servers),
    runtime,
    timeoutMs: 500,
    attemptTimeoutMs: 300,
    maxInFlightPerEndpoint: 8,
    health: { intervalMs: 1000, unhealthyAfter: 1 },
  });
  const hash = createHash('sha256');
  let events = 0;
  const note = (what: string, detail: unknown) => {
    events++;
    hash.update(`${clock.now().toFixed(6)} ${what} ${JSON.stringify(detail)}\n`);
  };
  for (const name of EVENTS) router.events.on(name, (event) => note(name, event));
  const random = runtime.random.fork('workload');
  const pending: Promise<void>[] = [];
  for (let i = 0; i < CALLS; i++) {
    const gone = new AbortController();
    if (random.next() < 0.1) clock.timer(random.next() * 60, () => gone.abort());
    pending.push(
      router.call({ path: `/${i}`, weight: 1 + random.int(5), signal: gone.signal, idempotent: random.next() < 0.7 }).then(
        ({ status, endpoint, attempts }) => note('answer', [i, status, endpoint, attempts]),
        (error) => note('error', [i, error.code, error.endpoint, error.attempts]),
      ),
    );
    await clock.advance(random.next() * 8);
  }
  await clock.advance(1000);
  await Promise.all(pending);
  await assertBalanced({ router, runtime, clock });
  const { calls } = router.snapshot();
  await router.close();
  await transport.close();
  return { hash: hash.digest('hex'), events, outcomes: { ...calls } };
}

it(`the same seed gives the same ${CALLS} calls, event for event; another seed gives others`, async () => {
  const [first, second, other] = [await trace(42), await trace(42), await trace(43)];
  expect(second).toEqual(first);
  expect(other.hash).not.toBe(first.hash);
  expect(first.events).toBeGreaterThan(2 * CALLS);
  expect(Object.values(first.outcomes).reduce((a, b) => a + b)).toBe(CALLS);
  expect(Object.keys(first.outcomes)).toEqual(expect.arrayContaining(['ok', 'cancelled']));
});
