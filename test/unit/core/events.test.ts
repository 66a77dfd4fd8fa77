import { expect, it } from 'vitest';
import { EventSource } from '../../../src/core/events.js';
import { fakeRuntime } from '../../support/fake-host.js';

type Changes = { change: number; error: string };

function setUp() {
  const { diagnostics, clock } = fakeRuntime();
  return { diagnostics, clock, events: new EventSource<Changes>('router a', diagnostics) };
}

it('runs every listener in order, even after one threw, and the emitter hears nothing of it', () => {
  const { diagnostics, events } = setUp();
  const seen: string[] = [];
  events.on('change', (n) => seen.push(`a${n}`));
  events.on('change', () => {
    throw new Error('broken listener');
  });
  events.on('change', (n) => seen.push(`b${n}`));
  events.emit('change', 1);
  events.emit('change', 2);
  expect(seen).toEqual(['a1', 'b1', 'a2', 'b2']);
  expect(diagnostics.snapshot()).toEqual({ 'router a:change': 2 });
});

it('sends the rejection of an async listener to diagnostics', async () => {
  const { diagnostics, clock, events } = setUp();
  events.on('error', (async () => {
    throw new Error('later');
  }) as () => void);
  events.emit('error', 'x');
  await clock.settle();
  expect(diagnostics.total).toBe(1);
});

it('may be subscribed and unsubscribed inside an event', () => {
  const { events } = setUp();
  const seen: string[] = [];
  const off = events.on('change', () => {
    seen.push('first');
    off();
    offSecond();
    events.on('change', () => seen.push('late'));
  });
  const offSecond = events.on('change', () => seen.push('second'));
  events.emit('change', 1);
  const { length } = seen;
  events.emit('change', 2);
  expect(seen[0]).toBe('first');
  expect(seen.slice(length)).toEqual(['late']);
});

it('tells a once-listener once, or never when it left', () => {
  const { events } = setUp();
  const seen: number[] = [];
  events.once('change', (n) => seen.push(n));
  events.once('change', (n) => seen.push(n))();
  events.emit('change', 1);
  events.emit('change', 2);
  expect(seen).toEqual([1]);
});

it('knows whether anybody listens, and forgets all on clear', () => {
  const { events } = setUp();
  expect(events.has('change')).toBe(false);
  const off = events.on('change', () => {});
  events.on('change', () => {});
  off();
  off();
  expect(events.has('change')).toBe(true);
  events.clear();
  expect(events.has('change')).toBe(false);
});
