import { expect, it } from 'vitest';
import { invalidArgument } from '../../../../src/core/errors.js';
import { headerEntries } from '../../../../src/core/headers.js';
import { RefusalAnswers } from '../../../../src/limiter/doors/refusal-answer.js';
import { REFUSAL_NAMES, type Refusal } from '../../../../src/limiter/refusal.js';

const STATUSES: Readonly<Record<Refusal, number>> = {
  limit: 429,
  full: 429,
  evicted: 429,
  waited: 429,
  level: 429,
  cancelled: 429,
  deadline: 504,
  closed: 503,
};

it.each(REFUSAL_NAMES)('answers "%s" with one and the same object each time', (refusal) => {
  const answers = new RefusalAnswers(429, 1001);
  const answer = answers.of(refusal);
  const headers = Object.fromEntries(headerEntries(answer.headers));
  expect(answers.of(refusal)).toBe(answer);
  expect(answer.status).toBe(STATUSES[refusal]);
  expect(headers['content-length']).toBe(String(Buffer.byteLength(answer.body)));
  expect(JSON.parse(answer.body)).toEqual({ code: answer.code, message: answer.message });
  expect([headers['retry-after'], headers['evenkeel-rejected']]).toEqual(
    refusal === 'deadline' ? [undefined, undefined] : ['2', '1'],
  );
  expect(headers.connection).toBe(refusal === 'closed' ? 'close' : undefined);
});

it('answers a claim that cannot be read with 400 and the reason, without advice', () => {
  const { body, headers, status } = new RefusalAnswers(503, 1000).malformed(
    invalidArgument('evenkeel-timeout-ms', 'soon', 'a number'),
  );
  expect([status, JSON.parse(body).code, headers.includes('retry-after')]).toEqual([400, 'invalid-argument', false]);
});
