import { describe, expect, it } from 'vitest';
import {
  checkInteger,
  checkNumber,
  ERROR_CODES,
  EvenkeelError,
  invalidArgument,
  isEvenkeelError,
  prebuiltError,
} from '../../../src/core/errors.js';

describe('EvenkeelError', () => {
  it('answers whether to retry, with the careful answer when nothing is said', () => {
    const error = new EvenkeelError('internal', 'x');
    expect([error.retryable, error.rejected, error.retryAfterMs]).toEqual(['no', false, undefined]);
    expect('cause' in error).toBe(false);
  });

  it('is plain JSON with its cause as text', () => {
    const cause = new Error('socket closed');
    const error = new EvenkeelError('unavailable', 'gone', { retryable: 'yes', endpoint: 'a', attempts: 2, cause });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'unavailable',
      message: 'gone',
      retryable: 'yes',
      rejected: false,
      endpoint: 'a',
      attempts: 2,
      cause: 'socket closed',
    });
  });

  it('is recognised by its fields, across copies of the package', () => {
    const copy = Object.assign(new Error('x'), { name: 'EvenkeelError', code: 'aborted' });
    expect(isEvenkeelError(copy)).toBe(true);
    expect(isEvenkeelError(copy, 'aborted')).toBe(true);
    expect(isEvenkeelError(copy, 'internal')).toBe(false);
    for (const other of [new Error('x'), { name: 'EvenkeelError' }, null, undefined, 'x'])
      expect(isEvenkeelError(other)).toBe(false);
  });

  it('has the sixteen canonical codes', () => {
    expect(new Set(ERROR_CODES).size).toBe(16);
  });
});

describe('a prebuilt error', () => {
  it('is frozen, has no stack frames and leaves the limit as it was', () => {
    const limit = Error.stackTraceLimit;
    const error = prebuiltError('resource-exhausted', 'full', { rejected: true });
    expect(Object.isFrozen(error)).toBe(true);
    expect(error.stack).not.toContain(' at ');
    expect(error.rejected).toBe(true);
    expect(Error.stackTraceLimit).toBe(limit);
  });
});

describe('checks', () => {
  it('name the value, what it is and what is expected', () => {
    expect(invalidArgument('ratio', 'x'.repeat(500), 'a number').message).toMatch(/^ratio is "x{117}\.\.\."; expected a number$/);
    expect(invalidArgument('f', () => 0, 'x').message).toContain('a function');
    expect(invalidArgument('o', { a: 1n }, 'x').message).toContain('[object Object]');
    expect(invalidArgument('s', Symbol('q'), 'x').message).toContain('Symbol(q)');
    expect(invalidArgument('l', Array(500).fill(1), 'x').message.length).toBeLessThan(160);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 11, '5' as unknown as number])(
    'refuse %s as a number from 0 to 10',
    (value) => {
      expect(() => checkNumber('x', value, 0, 10)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    },
  );

  it('pass what is in range, ends included', () => {
    expect([checkNumber('x', 0, 0, 1), checkNumber('x', 1, 0, 1), checkInteger('x', 3, 3)]).toEqual([0, 1, 3]);
    expect(() => checkInteger('x', 1.5, 0)).toThrow('a whole number');
  });
});
