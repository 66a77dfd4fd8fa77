import { describe, expect, it } from 'vitest';
import { GOOD_KEYS } from '../../../../src/testing/conformance.js';
import { keyToken, QueueSubjects } from '../../../../src/transports/nats/queue-subjects.js';

const subjects = new QueueSubjects('jobs');

describe('subjects of a queue', () => {
  it('every key is one token, and no two keys share one', () => {
    const tokens = GOOD_KEYS.map(keyToken);
    for (const token of tokens) expect(token).toMatch(/^k[0-9a-f]+$/);
    expect(new Set(tokens).size).toBe(GOOD_KEYS.length);
  });

  it('a delayed subject tells start time and token', () => {
    const subject = subjects.delayed(1234.2, keyToken('a.b'));
    expect(subject).toBe('$EKQ.jobs.d.1235.k612e62');
    expect(subjects.parseDelayed(subject)).toEqual({ subject, dueMs: 1235, token: 'k612e62' });
  });

  it('a start time beyond all integers is the last there is', () => {
    const parsed = subjects.parseDelayed(subjects.delayed(1e300, 'u1'));
    expect(parsed?.dueMs).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each(['$EKQ.jobs.r.u', '$EKQ.jobs.d.u', '$EKQ.jobs.d.x.u', '$EKQ.jobs.d.1.x', '$EKQ.other.d.1.u', '$EKQ.jobs.d.1.k61.more'])(
    '%s is not a delayed item',
    (subject) => {
      expect(subjects.parseDelayed(subject)).toBeUndefined();
    },
  );
});
