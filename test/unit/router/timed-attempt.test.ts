import { expect, it } from 'vitest';
import { EvenkeelError } from '../../../src/core/errors.js';
import type { CallTransport } from '../../../src/core/transport/call.js';
import type { Attempt } from '../../../src/router/attempt.js';
import type { Member } from '../../../src/router/endpoint-table.js';
import { type AttemptRecorder, TimedAttempt } from '../../../src/router/timed-attempt.js';

it.each([true, false])('counts the start of a retry once, as that attempt’s own (sampled: %s)', (isNextSampled) => {
  let now = 0;
  const ends: number[] = [];
  const recorder: AttemptRecorder = {
    now: () => now,
    record: () => {},
    recordEnd: (_error, ms) => ends.push(ms),
    startsMs: 0,
    isEnding: false,
  };
  // Ten milliseconds to start an attempt, one of our own for the end of one.
  const transport = {
    start: () => {
      now += 10;
      return { cancel() {}, pause() {}, resume() {} };
    },
  } as unknown as CallTransport;
  const timed = (isSampled: boolean, onError: () => void) =>
    new TimedAttempt(recorder, { queuedAt: now, now, onError } as unknown as Attempt, {} as Member, { path: '/x' }, 1, isSampled);
  let second: TimedAttempt | undefined;
  const first = timed(true, () => {
    now += 1;
    second = timed(isNextSampled, () => {});
    second.start(transport);
  });
  first.start(transport);
  first.onError(new EvenkeelError('unavailable', 'gone'));
  expect(first.networkMs).toBe(10);
  expect(second?.networkMs).toBe(isNextSampled ? 10 : 0);
  expect(ends).toEqual([1]);
  expect(recorder.isEnding).toBe(false);
});
