/** How a router treats endpoints that failed: probation, pauses that servers ask for, slowness that may have passed. */
import { describe, expect, it } from 'vitest';
import { roundRobin } from '../../../src/router/index.js';
import { assertBalanced, type RigOptions, type RouterRig, routerRig, watch } from '../../support/router-rig.js';

const POST = { path: '/x', body: 'work' };

/** Ends the calls that are open at `id`, as `fail` says; others are answered. */
function end(rig: RouterRig, id: string, fail: (call: (typeof rig.transport.open)[number]) => void): void {
  for (const call of rig.transport.open) {
    if (call.to === id) fail(call);
    else call.answer();
  }
}

const stateOf = (rig: RouterRig, id: string) => rig.router.endpoints().find(({ endpoint }) => endpoint.id === id)?.state;
const countAt = (rig: RouterRig, id: string) => rig.transport.order.filter((to) => to === id).length;

async function ejected(options: RigOptions = {}): Promise<RouterRig> {
  const rig = routerRig({ endpoints: 4, picker: roundRobin(), ...options });
  for (let i = 0; i < 20; i++) watch(rig.router.call(POST));
  end(rig, 'a', (call) => call.answer(500));
  expect(stateOf(rig, 'a')).toBe('ejected');
  return rig;
}

describe('an endpoint back from its ejection', () => {
  it('gets one call, and no second before that has ended well', async () => {
    const rig = await ejected();
    const before = countAt(rig, 'a');
    for (let i = 0; i < 20; i++) watch(rig.router.call(POST));
    expect(countAt(rig, 'a')).toBe(before);
    end(rig, 'a', (call) => call.answer());
    await rig.clock.advance(5000);
    expect(stateOf(rig, 'a')).toBe('probation');
    for (let i = 0; i < 40; i++) watch(rig.router.call(POST));
    expect(countAt(rig, 'a')).toBe(before + 1);
    end(rig, 'a', (call) => call.answer());
    expect(stateOf(rig, 'a')).toBe('open');
    for (let i = 0; i < 40; i++) watch(rig.router.call(POST));
    expect(countAt(rig, 'a')).toBe(before + 11);
    end(rig, 'a', (call) => call.answer());
    await assertBalanced(rig);
  });

  it('is out again with one failure, and its call is given another chance elsewhere', async () => {
    const rig = await ejected();
    await rig.clock.advance(5000);
    const calls = Array.from({ length: 4 }, () => watch(rig.router.call({ path: '/x' })));
    end(rig, 'a', (call) => call.fail());
    await rig.clock.advance(40);
    end(rig, 'a', () => {});
    await assertBalanced(rig);
    expect(stateOf(rig, 'a')).toBe('ejected');
    for (const call of calls) expect(call.get().status).toBe(200);
  });

  it('stays on probation when its call tells nothing: the caller left', async () => {
    const rig = await ejected();
    await rig.clock.advance(5000);
    const gone = new AbortController();
    for (let i = 0; i < 4; i++) watch(rig.router.call({ ...POST, signal: gone.signal }));
    gone.abort();
    expect(stateOf(rig, 'a')).toBe('probation');
    await assertBalanced(rig);
  });

  it('is believed after a call that was turned away: somebody is there', async () => {
    const rig = await ejected();
    await rig.clock.advance(5000);
    for (let i = 0; i < 4; i++) watch(rig.router.call(POST));
    end(rig, 'a', (call) => call.answer(429));
    expect(stateOf(rig, 'a')).toBe('open');
  });
});

describe('an answer of 429', () => {
  it('ejects nobody, however many', () => {
    const rig = routerRig({ endpoints: 2, picker: roundRobin(), retry: false });
    for (let i = 0; i < 200; i++) {
      watch(rig.router.call(POST));
      rig.transport.last.answer(rig.transport.last.to === 'a' ? 429 : 200);
    }
    expect(rig.router.snapshot().ejections).toBe(0);
  });

  it.each([
    ['five seconds', [], 5000],
    ['as long as it asks in seconds', ['retry-after', '60'], 60_000],
    ['as long as gRPC asks in milliseconds', ['grpc-retry-pushback-ms', '30000'], 30_000],
    ['five seconds when it asks for less', ['retry-after', '1'], 5000],
    ['five seconds when it asks for nonsense', ['retry-after', 'Wed, 21 Oct 2026 07:28:00 GMT'], 5000],
    ['five minutes when it asks for a day', ['retry-after', '86400'], 300_000],
  ])('keeps calls away for %s', async (_what, headers, pauseMs) => {
    const rig = routerRig({ endpoints: 2, retry: false });
    while (countAt(rig, 'a') === 0) watch(rig.router.call(POST));
    end(rig, 'a', (call) => call.answer(429, '', headers));
    const before = countAt(rig, 'a');
    const trickle = async (untilMs: number) => {
      while (rig.clock.now() < untilMs) {
        watch(rig.router.call(POST));
        await rig.clock.advance(pauseMs / 500);
        rig.transport.last.answer();
      }
    };
    await trickle(pauseMs - pauseMs / 100);
    expect(countAt(rig, 'a')).toBe(before);
    await trickle(pauseMs + 300_000);
    expect(countAt(rig, 'a')).toBeGreaterThan(before);
  });
});

describe('an endpoint that was slow', () => {
  it('is tried again after a while, and wins its share back when it is fast', async () => {
    const rig = routerRig({ endpoints: 2 });
    let slowMs = 2000;
    rig.transport.onCall = (call) => void rig.clock.timer(call.to === 'a' ? slowMs : 20, () => call.answer());
    const trickle = async (seconds: number) => {
      const from = rig.transport.calls.length;
      for (let i = 0; i < seconds * 10; i++) {
        watch(rig.router.call(POST));
        await rig.clock.advance(100);
      }
      return rig.transport.calls.slice(from).filter(({ to }) => to === 'a').length / (seconds * 10);
    };
    await trickle(10);
    expect(await trickle(20)).toBeLessThan(0.05);
    slowMs = 20;
    await trickle(180);
    expect(await trickle(20)).toBeGreaterThan(0.2);
  });
});
