import { HEADERS } from 'evenkeel/core';
import { createThrottle, type Throttle } from 'evenkeel/limiter';
import { expect, it } from 'vitest';
import { parseEndpoint } from '../../../src/core/endpoint.js';
import { fakeRuntime } from '../../support/fake-host.js';

const FIRST = parseEndpoint('http://10.0.0.1:80');
const SECOND = parseEndpoint('http://10.0.0.2:80');

function tell(throttle: Throttle, level: string | undefined, endpoint = FIRST) {
  throttle.extension.response?.(level === undefined ? [] : [HEADERS.admissionLevel.text, level], endpoint);
}

const sheddable = { criticality: 'sheddable', cohort: 0 } as const;

it('sheds what the servers would turn away, by criticality and cohort', () => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  tell(throttle, '192');
  expect(throttle.snapshot().level).toBeGreaterThan(192);
  // The first news counts almost whole: 192 + 320 / 9 = 228.
  expect(throttle.allows({ criticality: 'critical', cohort: 99 })).toBe(true);
  // The probe.
  expect(throttle.allows(sheddable)).toBe(true);
  expect(throttle.allows({ criticality: 'critical', cohort: 100 })).toBe(false);
  expect(throttle.allows(sheddable)).toBe(false);
  expect(throttle.snapshot().refused.level).toMatchObject({ critical: 1, sheddable: 1 });
});

it('follows the level within a quarter of a second', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime });
  for (let i = 0; i < 100; i++) {
    tell(throttle, '128');
    await runtime.clock.advance(10);
  }
  expect(throttle.snapshot().level).toBeLessThan(140);
  for (let i = 0; i < 100; i++) {
    tell(throttle, undefined);
    await runtime.clock.advance(10);
  }
  expect(throttle.snapshot().level).toBeGreaterThan(490);
});

it('takes the mean of endpoints that differ', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime });
  for (let i = 0; i < 400; i++) {
    tell(throttle, i % 2 === 0 ? '100' : '300', i % 2 === 0 ? FIRST : SECOND);
    await runtime.clock.advance(5);
  }
  expect(throttle.snapshot().level).toBeGreaterThan(180);
  expect(throttle.snapshot().level).toBeLessThan(220);
});

it('opens after a second without news, and admits everybody after two', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime });
  for (let i = 0; i < 100; i++) {
    tell(throttle, '0');
    await runtime.clock.advance(20);
  }
  const { level } = throttle.snapshot();
  expect(level).toBeLessThan(30);
  await runtime.clock.advance(900);
  expect(throttle.snapshot().level).toBe(level);
  await runtime.clock.advance(580);
  expect(throttle.snapshot().level).toBeGreaterThan(200);
  await runtime.clock.advance(520);
  expect(throttle.snapshot().level).toBe(512);
});

it('sends one call a second that it would shed', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime });
  let probes = 0;
  for (let i = 0; i < 1000; i++) {
    tell(throttle, '0');
    await runtime.clock.advance(10);
    if (throttle.allows(sheddable)) probes++;
  }
  expect(probes).toBeGreaterThanOrEqual(9);
  expect(probes).toBeLessThanOrEqual(11);
});

it('does not count what it sheds as asked', async () => {
  const runtime = fakeRuntime();
  const throttle = createThrottle({ runtime });
  for (let i = 0; i < 50; i++) {
    tell(throttle, '0');
    throttle.allows(sheddable);
    await runtime.clock.advance(10);
  }
  expect(throttle.snapshot().classes.sheddable.asked).toBe(1);
});

it.each(['', '-1', 'all', '1e2', '9999'])('takes a malformed level (%j) for everybody', (level) => {
  const throttle = createThrottle({ runtime: fakeRuntime() });
  tell(throttle, level);
  expect(throttle.snapshot().level).toBe(512);
});
