import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkName, decodeKey, encodeKey } from '../../../../src/transports/nats/names.js';

describe('a key as a token', () => {
  it.each([
    ['config/search', 'config/search'],
    ['dots.in.it', 'dots.in.it'],
    ['.hidden', '=2Ehidden'],
    ['trailing.', 'trailing=2E'],
    ['a..b', 'a=2E=2Eb'],
    ['star*and>and space', 'star=2Aand=3Eand=20space'],
    ['=', '=3D'],
    ['é', '=C3=A9'],
    ['\u{1f40b}', '=F0=9F=90=8B'],
  ])('%s is %s', (key, token) => {
    expect(encodeKey(key)).toBe(token);
    expect(decodeKey(token)).toBe(key);
  });

  it('of any text is what NATS allows in a key, and comes back as it was', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1 }).filter((key) => !/\p{Surrogate}/u.test(key)),
        (key) => {
          const token = encodeKey(key);
          expect(token).toMatch(/^[-/_=.a-zA-Z0-9]+$/);
          expect(token).not.toMatch(/^\.|\.$|\.\./);
          expect(decodeKey(token)).toBe(key);
        },
      ),
    );
  });

  it.each(['=2e', '=41', '=', '=F', '=ZZ', 'a=FF', 'a..b', '.a'])('%s, which no key has, is nobody’s', (token) => {
    expect(decodeKey(token)).toBe(undefined);
  });
});

it('a name that a stream cannot have is refused', () => {
  expect(checkName('bucket', 'a-b_C9')).toBe('a-b_C9');
  for (const name of ['', 'a.b', 'a*', 'a b', 'a/b', 'é', 'x'.repeat(65), 7]) {
    expect(() => checkName('bucket', name as string)).toThrow(/bucket/);
  }
});
