import { describe, expect, it } from 'vitest';
import type { RouterRequest } from '../../../src/router/index.js';
import { bothOf, HEDGE_MS, hedgingRig, USUAL_MS, warmUp } from '../../support/hedging-rig.js';
import { assertBalanced, assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

const GET: RouterRequest = { path: '/x' };

async function hedged(request: RouterRequest = GET, options: Parameters<typeof hedgingRig>[0] = {}) {
  const rig = await hedgingRig(options);
  const call = watch(rig.router.call(request));
  await rig.clock.advance(HEDGE_MS);
  const [first, hedge] = bothOf(rig);
  return { rig, call, first, hedge };
}

describe('a call that takes longer than nearly all', () => {
  it('goes to a second endpoint as well, after the delay and not before', async () => {
    const rig = await hedgingRig();
    watch(rig.router.call(GET));
    await rig.clock.advance(USUAL_MS - 1);
    expect(rig.transport.calls).toHaveLength(1);
    await rig.clock.advance(HEDGE_MS - USUAL_MS + 1);
    const [first, hedge] = bothOf(rig);
    expect(hedge.to).not.toBe(first.to);
    expect(rig.router.snapshot()).toMatchObject({ hedges: 1, hedgesWon: 0 });
    await rig.clock.advance(500);
    expect(rig.transport.calls).toHaveLength(2);
    await assertClosesClean(rig);
  });

  it('is answered by the hedge when that is first, and the first attempt is cancelled once', async () => {
    const { rig, call, first, hedge } = await hedged();
    hedge.answer(200, 'from the hedge');
    await rig.clock.settle();
    expect(call.get()).toMatchObject({ status: 200, attempts: 2, endpoint: hedge.to });
    expect(await call.get().text()).toBe('from the hedge');
    expect(first.cancelled).toBe('cancelled');
    expect(rig.router.snapshot()).toMatchObject({ hedges: 1, hedgesWon: 1, retries: 0 });
    expect(rig.router.snapshot().wastedMs).toBeGreaterThanOrEqual(USUAL_MS);
    await assertBalanced(rig);
    await assertClosesClean(rig);
  });

  it('is answered by the first attempt when that is first, and the hedge is cancelled once', async () => {
    const { rig, call, first, hedge } = await hedged();
    await rig.clock.advance(3);
    first.answer(200, 'from the first');
    await rig.clock.settle();
    expect(call.get()).toMatchObject({ attempts: 2, endpoint: first.to });
    expect(await call.get().text()).toBe('from the first');
    expect(hedge.cancelled).toBe('cancelled');
    expect(rig.router.snapshot()).toMatchObject({ hedges: 1, hedgesWon: 0 });
    expect(rig.router.snapshot().wastedMs).toBeGreaterThanOrEqual(3);
    await assertBalanced(rig);
    await assertClosesClean(rig);
  });

  it('is decided by the head: the loser is cancelled before the winner has its body', async () => {
    const { rig, call, first, hedge } = await hedged();
    first.respond(200);
    expect(hedge.cancelled).toBe('cancelled');
    expect(first.isOver).toBe(false);
    first.data('whole');
    first.end();
    await rig.clock.settle();
    expect(await call.get().text()).toBe('whole');
  });

  it('tells an endpoint that it is slow, though it never answered', async () => {
    const { rig, first, hedge } = await hedged();
    const before = rig.router.endpoints().find(({ endpoint }) => endpoint.id === first.to)?.latencyMs as number;
    await rig.clock.advance(1000);
    hedge.answer();
    const after = rig.router.endpoints().find(({ endpoint }) => endpoint.id === first.to)?.latencyMs as number;
    expect(after).toBeGreaterThan(before);
  });
});

describe('failures of a hedged call', () => {
  it.each(['first', 'hedge'] as const)('the %s attempt fails: the other one answers, without a retry', async (which) => {
    const { rig, call, first, hedge } = await hedged();
    const [failing, other] = which === 'first' ? [first, hedge] : [hedge, first];
    failing.fail('unavailable', 'unknown');
    await rig.clock.advance(50);
    expect(call.isSettled).toBe(false);
    other.answer(200, 'after all');
    await rig.clock.settle();
    expect(call.get()).toMatchObject({ endpoint: other.to, attempts: 2 });
    expect(rig.router.snapshot()).toMatchObject({ retries: 0, hedgesWon: which === 'first' ? 1 : 0 });
    await assertBalanced(rig);
  });

  it.each(['first', 'hedge'] as const)('a 503 of the %s attempt does not win while the other is at work', async (which) => {
    const { rig, call, first, hedge } = await hedged();
    const [failing, other] = which === 'first' ? [first, hedge] : [hedge, first];
    failing.answer(503, 'full');
    expect(other.isOver).toBe(false);
    other.answer(200, 'good');
    await rig.clock.settle();
    expect(await call.get().text()).toBe('good');
    await assertBalanced(rig);
  });

  it('both fail: it is tried again, elsewhere, once', async () => {
    const { rig, call, first, hedge } = await hedged();
    first.fail('unavailable', 'unknown');
    hedge.fail('unavailable', 'unknown');
    await rig.clock.advance(100);
    expect(rig.transport.calls).toHaveLength(3);
    rig.transport.last.answer(200, 'third time');
    await rig.clock.settle();
    expect(call.get().attempts).toBe(3);
    expect(rig.router.snapshot()).toMatchObject({ retries: 1, hedges: 1 });
    await assertBalanced(rig);
    await assertClosesClean(rig);
  });

  it.each([
    ['first', 'hedge'],
    ['hedge', 'first'],
  ])('both answer 503, %s then %s, heads before ends: one retry follows', async (one) => {
    const { rig, call, first, hedge } = await hedged();
    const [a, b] = one === 'first' ? [first, hedge] : [hedge, first];
    a.respond(503);
    b.respond(503);
    b.end();
    a.end();
    await rig.clock.advance(100);
    expect(rig.transport.calls).toHaveLength(3);
    rig.transport.last.answer(200);
    await rig.clock.settle();
    expect(call.get().attempts).toBe(3);
    expect(rig.router.snapshot().retries).toBe(1);
    await assertBalanced(rig);
  });

  it('both fail and no attempt is left: the last error is told', async () => {
    const { rig, call, first, hedge } = await hedged(GET, { retry: { maxAttempts: 2 } });
    first.fail('unavailable', 'unknown');
    hedge.fail('internal', 'unknown');
    await rig.clock.settle();
    expect(call.error).toMatchObject({ code: 'internal', attempts: 2, endpoint: hedge.to });
    await assertBalanced(rig);
  });

  it('the deadline ends both', async () => {
    const { rig, call, first, hedge } = await hedged(GET, { timeoutMs: 100 });
    await rig.clock.advance(100);
    expect(call.error?.code).toBe('deadline-exceeded');
    expect([first.cancelled, hedge.cancelled]).toEqual(['deadline-exceeded', 'deadline-exceeded']);
    await assertBalanced(rig);
    await assertClosesClean(rig);
  });

  it('an attempt times out alone', async () => {
    const { rig, call, first, hedge } = await hedged(GET, { attemptTimeoutMs: 40 });
    await rig.clock.advance(25);
    expect([first.cancelled, hedge.cancelled]).toEqual(['deadline-exceeded', undefined]);
    hedge.answer();
    await rig.clock.settle();
    expect(call.get().endpoint).toBe(hedge.to);
  });

  it('the caller leaves: both are cancelled', async () => {
    const gone = new AbortController();
    const { rig, call, first, hedge } = await hedged({ ...GET, signal: gone.signal });
    gone.abort();
    await rig.clock.settle();
    expect(call.error?.code).toBe('cancelled');
    expect([first.cancelled, hedge.cancelled]).toEqual(['cancelled', 'cancelled']);
    await assertBalanced(rig);
  });

  it('the caller leaves after the first attempt has failed: the hedge is cancelled', async () => {
    const gone = new AbortController();
    const { rig, call, first, hedge } = await hedged({ ...GET, signal: gone.signal });
    first.fail();
    gone.abort();
    await rig.clock.settle();
    expect(call.error?.code).toBe('cancelled');
    expect(hedge.cancelled).toBe('cancelled');
    await assertBalanced(rig);
  });

  it.each([true, false])('the router closes: nothing is left (first attempt failed: %s)', async (hasFailed) => {
    const { rig, call, first } = await hedged();
    if (hasFailed) first.fail();
    await assertClosesClean(rig);
    expect(call.error?.code).toBe('unavailable');
    expect(rig.transport.open).toHaveLength(0);
  });
});

describe('a hedged stream', () => {
  it.each(['first', 'hedge'] as const)('has the bytes of the winner alone (%s)', async (which) => {
    const { rig, call, first, hedge } = await hedged({ ...GET, response: 'stream' });
    const [winner, loser] = which === 'first' ? [first, hedge] : [hedge, first];
    winner.respond(200);
    winner.data('mine ');
    loser.respond(200);
    loser.data('theirs');
    winner.data('alone');
    winner.end();
    await rig.clock.settle();
    expect(await call.get().text()).toBe('mine alone');
    expect(loser.cancelled).toBe('cancelled');
    await assertBalanced(rig);
  });

  it('that breaks midway is not tried again', async () => {
    const { rig, call, hedge } = await hedged({ ...GET, response: 'stream' });
    hedge.respond(200);
    await rig.clock.settle();
    const read = watch(call.get().bytes());
    hedge.data('half');
    hedge.fail();
    await rig.clock.advance(100);
    expect(read.error?.code).toBe('unavailable');
    expect(rig.transport.calls).toHaveLength(2);
    await assertBalanced(rig);
  });

  it('ends when its reader leaves', async () => {
    const { rig, call, hedge } = await hedged({ ...GET, response: 'stream' });
    hedge.respond(200);
    await rig.clock.settle();
    call.get().stream?.cancel();
    expect(hedge.cancelled).toBe('cancelled');
    await assertClosesClean(rig);
  });
});

describe('no hedge', () => {
  async function isNotHedged(
    rig: Awaited<ReturnType<typeof hedgingRig>>,
    request: RouterRequest = GET,
    waitMs = 200,
  ): Promise<void> {
    const before = rig.transport.calls.length;
    watch(rig.router.call(request));
    await rig.clock.advance(waitMs);
    expect(rig.transport.calls.length - before).toBe(1);
    await assertClosesClean(rig);
  }

  it('by default', async () => isNotHedged(await hedgingRig({ hedge: undefined })));
  it('when it is turned off', async () => isNotHedged(await hedgingRig({ hedge: false })));
  it('while its switch is off, and again when it is on', async () => {
    const hedging = { isOn: false };
    const rig = await hedgingRig({ switches: { hedging } });
    watch(rig.router.call(GET));
    await rig.clock.advance(200);
    expect(rig.transport.calls).toHaveLength(1);
    hedging.isOn = true;
    watch(rig.router.call(GET));
    await rig.clock.advance(200);
    expect(rig.transport.calls).toHaveLength(3);
  });
  it('for a call that is not idempotent', async () => isNotHedged(await hedgingRig(), { path: '/x', method: 'POST', body: 'b' }));
  it('for a body that can be sent once', async () =>
    isNotHedged(await hedgingRig(), {
      path: '/x',
      method: 'PUT',
      body: (async function* () {
        yield 'piece';
      })(),
    }));
  it('before the window has enough samples', async () => isNotHedged(await hedgingRig({}, 48)));
  it('when the window is old', async () => {
    const rig = await hedgingRig();
    await rig.clock.advance(60_000);
    await isNotHedged(rig);
  });
  it('without another endpoint', async () => isNotHedged(await hedgingRig({ endpoints: 1 })));
  it('when the budget of the retries is spent', async () =>
    isNotHedged(await hedgingRig({ retry: { budget: { ratio: 0, minPerSecond: 0 } } })));
  it('after the response has begun', async () => {
    const rig = await hedgingRig();
    watch(rig.router.call(GET));
    rig.transport.last.respond(200);
    await rig.clock.advance(200);
    expect(rig.transport.calls).toHaveLength(1);
  });
  it('after the first attempt has failed: that is a retry', async () => {
    const rig = await hedgingRig();
    watch(rig.router.call(GET));
    rig.transport.last.fail();
    await rig.clock.advance(400);
    expect(rig.transport.calls).toHaveLength(2);
    expect(rig.router.snapshot()).toMatchObject({ hedges: 0, retries: 1 });
  });
  it('while the endpoint table panics', async () => {
    const rig = await hedgingRig({ endpoints: 4, panicThreshold: 1, ejection: { consecutiveFailures: 1 } });
    watch(rig.router.call({ path: '/x', idempotent: false }));
    rig.transport.last.fail();
    expect(rig.router.snapshot().isPanicking).toBe(true);
    await isNotHedged(rig);
  });
  it('while most endpoints say that they are busy', async () => {
    const rig = await hedgingRig();
    for (let i = 0; i < 3; i++) watch(rig.router.call(GET));
    for (const open of rig.transport.open) {
      open.answer(200, '', ['endpoint-load-metrics', 'TEXT application_utilization=0.9']);
    }
    await rig.clock.advance(1100);
    await isNotHedged(rig);
    expect(rig.router.snapshot().hedgesRefused).toBe(1);
  });
});

it('hedges never exceed their share of the calls, however slow all of them become', async () => {
  const rig = await hedgingRig({ endpoints: 5, hedge: { maxExtraLoad: 0.05 }, ejection: false }, 300);
  let calls = 300;
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 10; i++) watch(rig.router.call(GET));
    calls += 10;
    await rig.clock.advance(100);
    for (const open of rig.transport.open) open.answer();
  }
  const { hedges } = rig.router.snapshot();
  expect(hedges).toBeGreaterThan(0);
  expect(hedges).toBeLessThanOrEqual(calls * 0.05);
  await assertClosesClean(rig);
});

it('the delay follows the latencies within a window', async () => {
  const rig = await hedgingRig();
  await rig.clock.advance(45_000);
  await warmUp(rig, 0);
  for (let i = 0; i < 60; i++) {
    watch(rig.router.call(GET));
    await rig.clock.advance(100);
    for (const open of rig.transport.open) open.answer();
  }
  await rig.clock.advance(1000);
  const { length } = rig.transport.calls;
  watch(rig.router.call(GET));
  await rig.clock.advance(95);
  expect(rig.transport.calls.length - length).toBe(1);
  await rig.clock.advance(25);
  expect(rig.transport.calls.length - length).toBe(2);
});

it.each([{ maxExtraLoad: 0 }, { maxExtraLoad: 0.5 }, { maxExtraLoad: Number.NaN }, { minDelayMs: -1 }])(
  'options out of range are refused: %j',
  (hedge) => {
    expect(() => routerRig({ hedge })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  },
);
