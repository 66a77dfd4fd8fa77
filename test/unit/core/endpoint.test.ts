import { describe, expect, it } from 'vitest';
import { MAX_ENDPOINTS, parseEndpoint, parseEndpoints, sameEndpoint } from '../../../src/core/endpoint.js';

const invalid = expect.objectContaining({ code: 'invalid-argument' });

describe('parseEndpoint', () => {
  it.each([
    ['http://10.0.0.7:8000', 'http://10.0.0.7:8000'],
    ['https://search.internal/', 'https://search.internal'],
    ['http://[fd00::1]:80', 'http://[fd00::1]:80'],
    ['memory://a', 'memory://a'],
    ['grpc+tls://a:1', 'grpc+tls://a:1'],
  ])('takes %s', (given, address) => {
    expect(parseEndpoint(given)).toEqual({ id: address, address, weight: 1 });
  });

  it('keeps what it knows, and nothing else', () => {
    const endpoint = { id: 'a', address: 'http://a:1', weight: 0.5, locality: 'eu/a', attributes: { gpu: 'h100' } };
    expect(parseEndpoint({ ...endpoint, color: 'red' })).toEqual(endpoint);
  });

  it.each([
    undefined,
    null,
    7,
    '',
    'a:1',
    '10.0.0.7:8000',
    'http://',
    'http://a b',
    'http://a/path',
    'http://a?x',
    'http://a#x',
    'http://a\\b',
    'http://user:secret@a',
    'http://a:70000',
    'http://a:x',
    'http://[::1',
    'http://fd00::1:80',
    'http://a\n',
    ['http://a:1'],
    {},
    { id: 'a' },
    { address: 7 },
    { id: '', address: 'http://a' },
    { id: 7, address: 'http://a' },
    { id: 'x'.repeat(257), address: 'http://a' },
    { address: 'http://a', weight: 0 },
    { address: 'http://a', weight: -1 },
    { address: 'http://a', weight: Number.NaN },
    { address: 'http://a', weight: '1' },
    { address: 'http://a', weight: 1e10 },
    { address: 'http://a', locality: 1 },
    { address: 'http://a', attributes: null },
    { address: 'http://a', attributes: 'x' },
    { address: 'http://a', attributes: ['x'] },
    { address: 'http://a', attributes: { a: 1 } },
    { address: 'http://a', attributes: { a: 'x'.repeat(5000) } },
  ])('refuses %j', (value) => {
    expect(() => parseEndpoint(value)).toThrow(invalid);
  });
});

describe('parseEndpoints', () => {
  it('keeps order', () => {
    expect(parseEndpoints(['http://b', 'http://a']).map(({ id }) => id)).toEqual(['http://b', 'http://a']);
    expect(parseEndpoints([])).toEqual([]);
  });

  it.each([
    ['no list', {}],
    ['an id used twice', ['http://a', { id: 'http://a', address: 'http://b' }]],
    ['too many', Array(MAX_ENDPOINTS + 1).fill('http://a')],
  ])('refuses %s', (_what, value) => {
    expect(() => parseEndpoints(value)).toThrow(invalid);
  });
});

describe('sameEndpoint', () => {
  it('is false when a transport or a picker would act otherwise', () => {
    const a = { id: 'a', address: 'http://a', weight: 1, locality: 'x', attributes: { k: 'v' } };
    expect(sameEndpoint(a, { ...a, attributes: { k: 'v' } })).toBe(true);
    for (const change of [{ address: 'http://b' }, { weight: 2 }, { locality: 'y' }, { attributes: { k: 'w' } }, { id: 'b' }]) {
      expect(sameEndpoint(a, { ...a, ...change })).toBe(false);
    }
  });
});
