import { expect, it } from 'vitest';
import { Lifecycle } from '../../../src/core/lifecycle.js';

it('drains when the last work in flight is over, for everybody who waits', async () => {
  const lifecycle = new Lifecycle('router a');
  lifecycle.enter();
  lifecycle.enter();
  let drained = 0;
  const waits = [lifecycle.drain(), lifecycle.drain()].map((wait) => wait.then(() => drained++));
  expect(lifecycle.isOpen).toBe(false);
  lifecycle.leave();
  await Promise.resolve();
  expect([drained, lifecycle.inFlight]).toEqual([0, 1]);
  lifecycle.leave();
  await Promise.all(waits);
  expect(drained).toBe(2);
});

it('drains at once when idle', async () => {
  await new Lifecycle('x').drain();
});

it('is closed by one caller, and stays closed', async () => {
  const lifecycle = new Lifecycle('x');
  expect([lifecycle.close(), lifecycle.close()]).toEqual([true, false]);
  await lifecycle.drain();
  expect([lifecycle.isClosed, lifecycle.isOpen]).toEqual([true, false]);
});

it('refuses use with an error that names it and may be retried elsewhere', () => {
  expect(new Lifecycle('router a').refusal).toMatchObject({
    code: 'failed-precondition',
    message: 'router a is draining or closed',
    retryable: 'yes',
  });
});
