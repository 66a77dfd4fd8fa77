import { Metadata } from '@grpc/grpc-js';
import { createThrottle, type Throttle } from 'evenkeel/limiter';
import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../src/core/errors.js';
import { runWithContext } from '../../../src/core/runtime.js';
import { fakeRuntime } from '../../support/fake-host.js';

/** Calls that a throttle lets through of `count`, each ended at once. */
function sent(throttle: Throttle, count: number, outcome: 'ok' | 'dropped' | 'error', criticality?: 'critical' | 'sheddable') {
  const work = criticality && { criticality };
  let allowed = 0;
  for (let i = 0; i < count; i++) {
    if (!throttle.allows(work)) continue;
    allowed++;
    throttle.record(outcome, work);
  }
  return allowed;
}

it('lets every call through while none is refused', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  expect(sent(throttle, 1000, 'ok')).toBe(1000);
});

it('lets the first call through', () => {
  for (let seed = 1; seed <= 20; seed++) expect(createThrottle({ runtime: fakeRuntime({ seed }) }).allows()).toBe(true);
});

it('holds no call back while half of them are accepted', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  for (let i = 0; i < 1000; i++) {
    expect(throttle.allows()).toBe(true);
    throttle.record(i % 2 === 0 ? 'ok' : 'dropped');
  }
});

it('still sends about one call a window when all are refused, at any rate', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime, windowMs: 2000 });
  sent(throttle, 1000, 'dropped');
  for (const perSecond of [5, 1000]) {
    let probes = 0;
    for (let second = 0; second < 100; second++) {
      probes += sent(throttle, perSecond, 'dropped');
      await runtime.clock.advance(1000);
    }
    // 50 windows; the chance of fewer than 20 is one in a million.
    expect(probes).toBeGreaterThan(20);
    expect(probes).toBeLessThan(150);
  }
});

it('counts calls in flight, as accepted until they are refused', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  const calls = Array.from({ length: 100 }, () => throttle.begin());
  expect(calls).not.toContain(undefined);
  expect(throttle.snapshot().classes.critical).toEqual({ asked: 100, accepted: 100, rejection: 0 });
  for (const call of calls) call?.end('dropped');
  expect(throttle.snapshot().classes.critical).toEqual({ asked: 100, accepted: 0, rejection: 100 / 101 });
});

it('holds calls back although they take longer than the window', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime, windowMs: 1000 });
  const inFlight: { end(outcome: 'dropped'): void }[][] = [];
  let lastSecond = 0;
  for (let second = 0; second < 30; second++) {
    // Every call is refused five seconds after it began, which is five windows.
    for (const call of inFlight[second - 5] ?? []) call.end('dropped');
    const begun = Array.from({ length: 100 }, () => throttle.begin()).filter((call) => call !== undefined);
    inFlight.push(begun);
    lastSecond = begun.length;
    await runtime.clock.advance(1000);
  }
  const sentInAll = inFlight.reduce((sum, { length }) => sum + length, 0);
  expect(sentInAll).toBeLessThan(0.75 * 3000);
  expect(lastSecond).toBeLessThanOrEqual(100);
});

it('lets a slow service begin: nothing is held back before the first answer', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime, windowMs: 1000 });
  for (let second = 0; second < 30; second++) {
    for (let i = 0; i < 100; i++) expect(throttle.allows()).toBe(true);
    await runtime.clock.advance(1000);
  }
});

it('keeps its count per criticality', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  sent(throttle, 100, 'dropped', 'sheddable');
  expect(sent(throttle, 100, 'ok', 'critical')).toBe(100);
  expect(sent(throttle, 100, 'dropped', 'sheddable')).toBeLessThan(10);
  expect(Object.keys(throttle.snapshot().refused)).toEqual(['refusals']);
});

it('takes a failure that was answered for accepted, and what was ignored for nothing', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  expect(sent(throttle, 100, 'error')).toBe(100);
  const { asked, accepted } = throttle.snapshot().classes.critical;
  throttle.begin()?.end('ignored');
  expect(throttle.snapshot().classes.critical).toMatchObject({ asked, accepted });
});

it('counts the first end of a call only', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  const call = throttle.begin();
  call?.end();
  call?.end('dropped');
  expect(throttle.snapshot().classes.critical.accepted).toBe(1);
});

it('is not blinded by old calls that are cancelled', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime });
  const old = Array.from({ length: 1000 }, () => throttle.begin());
  await runtime.clock.advance(10_000);
  for (const call of old) call?.end('ignored');
  let sent = 0;
  for (let i = 0; i < 900; i++) {
    const call = throttle.begin();
    if (call !== undefined) sent++;
    call?.end('dropped');
    await runtime.clock.advance(2);
  }
  expect(sent).toBeLessThan(20);
});

it('takes back what is cancelled from where it was counted', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime });
  const calls = Array.from({ length: 10 }, () => throttle.begin());
  await runtime.clock.advance(1000);
  for (const call of calls.slice(0, 4)) call?.end('ignored');
  expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 6, accepted: 6 });
  await runtime.clock.advance(1100);
  throttle.begin();
  expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 1, accepted: 1 });
});

it('takes what is not told from the ambient context', () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime });
  runWithContext(runtime, { criticality: 'sheddable' }, () => throttle.begin({ cohort: 3 }));
  expect(throttle.snapshot().classes.sheddable.asked).toBe(1);
});

describe('run', () => {
  it('takes an error that says full, and one that got no answer, for a refusal', async () => {
    const errors = [
      new EvenkeelError('resource-exhausted', 'full', { rejected: true }),
      new EvenkeelError('unavailable', 'gone'),
      new EvenkeelError('deadline-exceeded', 'late'),
      Object.assign(new Error('full'), { status: 503 }),
      new DOMException('late', 'TimeoutError'),
      Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) }),
      Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }),
      Object.assign(new Error('late'), { code: 'UND_ERR_HEADERS_TIMEOUT' }),
      Object.assign(new Error('gone'), { code: 14, metadata: new Metadata() }),
      Object.assign(new Error('late'), { code: 4, metadata: new Metadata() }),
    ];
    for (const error of errors) {
      const throttle = createThrottle({ runtime: fakeRuntime() });
      await expect(throttle.run(() => Promise.reject(error))).rejects.toBe(error);
      expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 1, accepted: 0 });
    }
    const throttle = createThrottle({ runtime: fakeRuntime() });
    await expect(throttle.run(() => Promise.reject(new Error('bug')))).rejects.toThrow('bug');
    expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 1, accepted: 1 });
  });

  it('fails a call that is held back with a refusal that is not to be retried', async () => {
    const throttle = createThrottle({ name: 'search', runtime: fakeRuntime() });
    sent(throttle, 1e6, 'dropped');
    const refusal = {
      code: 'resource-exhausted',
      rejected: true,
      retryable: 'no',
      details: { guard: 'throttle search', reason: 'refusals' },
    };
    const refused = throttle.run(() => expect.fail('not to be called'));
    await expect(refused).rejects.toMatchObject(refusal);
  });

  it('gives back what the call gave', async () => {
    await expect(createThrottle({ runtime: fakeRuntime() }).run(async () => 7)).resolves.toBe(7);
  });
});

describe('when a server asks for time', () => {
  it('holds back calls that are as critical or less, until it is over', async () => {
    const runtime = fakeRuntime();
    const throttle = createThrottle({ runtime });
    const pushbacks: unknown[] = [];
    throttle.events.on('pushback', (event) => pushbacks.push(event));
    throttle.begin({ criticality: 'sheddable-plus' })?.end('dropped', 5000);
    expect(pushbacks).toEqual([{ ms: 5000, endpoint: undefined, criticality: 'sheddable-plus' }]);
    expect(throttle.allows({ criticality: 'critical' })).toBe(true);
    expect([throttle.allows({ criticality: 'sheddable-plus' }), throttle.allows({ criticality: 'sheddable' })]).toEqual([
      false,
      false,
    ]);
    expect(throttle.snapshot()).toMatchObject({ pushbackMs: 5000, refused: { pushback: { sheddable: 1, 'sheddable-plus': 1 } } });
    await runtime.clock.advance(5000);
    expect(throttle.allows({ criticality: 'sheddable' })).toBe(true);
    expect(throttle.snapshot().pushbackMs).toBe(0);
  });

  it('honours thirty seconds at most', () => {
    const throttle = createThrottle({ runtime: fakeRuntime() });
    throttle.begin()?.end('dropped', 3_600_000);
    expect(throttle.snapshot().pushbackMs).toBe(30_000);
  });

  it('honours none with maxPushbackMs 0, nor what an accepted call says', () => {
    const deaf = createThrottle({ runtime: fakeRuntime(), maxPushbackMs: 0 });
    deaf.begin()?.end('dropped', 1000);
    const throttle = createThrottle({ runtime: fakeRuntime() });
    throttle.begin()?.end('ok', 1000);
    expect([deaf.snapshot().pushbackMs, throttle.snapshot().pushbackMs]).toEqual([0, 0]);
  });
});

describe('the retry budget', () => {
  it('is a share of the originals: a call that uses a right is none', () => {
    const throttle = createThrottle({ runtime: fakeRuntime(), retryBudget: { ratio: 0.1, minPerSecond: 0 } });
    let retries = 0;
    sent(throttle, 1000, 'ok');
    while (throttle.allowsRetry()) {
      retries++;
      sent(throttle, 1, 'ok');
    }
    expect(retries).toBe(100);
  });

  it('takes a retry that is held back for the one it allowed: the calls after it are originals', async () => {
    const runtime = fakeRuntime();
    const throttle = createThrottle({ runtime, retryBudget: { ratio: 0.1, minPerSecond: 0 } });
    sent(throttle, 1000, 'ok');
    throttle.begin()?.end('dropped', 1000);
    for (let i = 0; i < 50; i++) {
      expect(throttle.allowsRetry()).toBe(true);
      expect(throttle.allows()).toBe(false);
    }
    await runtime.clock.advance(1000);
    const before = throttle.snapshot().retries;
    expect(sent(throttle, 100, 'ok')).toBe(100);
    expect(throttle.snapshot().retries - before).toBeCloseTo(10, 0);
  });
});

it('tells of each call held back only to those who listen', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  const heard: unknown[] = [];
  throttle.events.on('refused', (event) => heard.push(event));
  throttle.begin({ criticality: 'critical-plus' })?.end('dropped', 1000);
  throttle.allows({ criticality: 'sheddable' });
  expect(heard).toEqual([{ reason: 'pushback', criticality: 'sheddable' }]);
});

it.each([
  { multiplier: 0.5 },
  { multiplier: Number.NaN },
  { windowMs: 100 },
  { windowMs: 1e9 },
  { maxPushbackMs: -1 },
  { name: '' },
  { name: 'x'.repeat(201) },
  { retryBudget: { ratio: -1 } },
])('refuses %j', (options) => {
  expect(() => createThrottle({ runtime: fakeRuntime(), ...options })).toThrow(
    expect.objectContaining({ code: 'invalid-argument' }),
  );
});

it('refuses a criticality and a cohort there is not', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  const invalid = expect.objectContaining({ code: 'invalid-argument' });
  expect(() => throttle.allows({ criticality: 'urgent' as 'critical' })).toThrow(invalid);
  expect(() => throttle.begin({ cohort: 128 })).toThrow(invalid);
  expect(throttle.snapshot().classes.critical.asked).toBe(0);
});
