import { expect, it } from 'vitest';
import { headerCount, headerEntries, headerName, headerValue, headerValues } from '../../../src/core/headers.js';

const X = headerName('X-Load');
const MIXED = ['a', '1', 'x-LOAD', 'first', Buffer.from('X-load'), Buffer.from('sec\xf6nd', 'latin1'), 'x-loads', 'other'];

it('are found whatever their case, as text or as bytes', () => {
  expect(headerValue(MIXED, X)).toBe('first');
  expect(headerValue(MIXED.slice(4), X)).toBe('secönd');
  expect(headerValues(MIXED, X)).toEqual(['first', 'secönd']);
  expect(headerCount(MIXED, X)).toBe(2);
  expect(headerValue(MIXED, headerName('x'))).toBeUndefined();
});

it('are listed with lower-case names, in order', () => {
  expect(headerEntries(MIXED)).toEqual([
    ['a', '1'],
    ['x-load', 'first'],
    ['x-load', 'secönd'],
    ['x-loads', 'other'],
  ]);
});

it('do not take a byte beside a letter for its other case', () => {
  expect(headerValue([Buffer.from('x\rload'), 'no'], X)).toBeUndefined();
  expect(headerValue(['x-load'], X)).toBeUndefined();
});
