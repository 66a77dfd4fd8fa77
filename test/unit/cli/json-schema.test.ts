import { describe, expect, it } from 'vitest';
import { below, faultsOf, type Schema, withDefaults } from '../../../src/cli/proxy/json-schema.js';

const SCHEMA: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 2, maxLength: 4, pattern: '^[a-z]+$', title: 'small letters' },
    kind: { type: 'string', enum: ['a', 'b'], default: 'a' },
    count: { type: 'integer', minimum: 1, maximum: 9 },
    share: { type: 'number', exclusiveMinimum: 0 },
    isOn: { type: 'boolean', default: true },
    inner: { type: 'object', default: {}, properties: { depth: { type: 'integer', default: 3 } }, additionalProperties: false },
    list: {
      type: 'array',
      minItems: 1,
      items: { type: ['string', 'object'], properties: { id: { type: 'string' } }, required: ['id'] },
    },
    map: { type: 'object', propertyNames: { pattern: '^x' }, additionalProperties: { type: 'integer' } },
    one: { type: 'object', minProperties: 1, maxProperties: 1, properties: { a: { type: 'integer' }, b: { type: 'integer' } } },
  },
  required: ['name'],
  additionalProperties: false,
};

const told = (value: unknown) => faultsOf(SCHEMA, value).map(({ path, message }) => `${path}: ${message}`);

describe('a schema', () => {
  it('finds nothing wrong with what fits it', () => {
    const list = ['x', { id: 'y' }];
    const value = { name: 'abc', kind: 'b', count: 9, share: 0.1, isOn: false, inner: {}, list, map: { x1: 1 }, one: { b: 1 } };
    expect(told(value)).toEqual([]);
  });

  it('names the place, what is there and what was expected, for all that is wrong', () => {
    expect(told([])).toEqual([': is []; expected an object']);
    expect(told({ name: 'A1', kind: 'c', count: 1.5, share: 0, isOn: 'yes', other: 1 })).toEqual([
      'name: is "A1"; expected small letters',
      'kind: is "c"; expected one of a, b',
      'count: is 1.5; expected a whole number',
      'share: is 0; expected more than 0',
      'isOn: is "yes"; expected a boolean',
      'other: is unknown; known are name, kind, count, share, isOn, inner, list, map, one',
    ]);
    expect(told({ count: 10, list: [], map: { y: 1, x: 'a' }, one: {} })).toEqual([
      'count: is 10; expected at most 9',
      'list: has 0 items; expected at least 1',
      'map.y: is a name that does not match ^x',
      'map.x: is "a"; expected a whole number',
      'one: has 0 properties; expected exactly 1 of a, b',
      'name: is missing',
    ]);
    expect(told({ name: 'a', list: [{}, 7] })).toEqual([
      'name: is "a"; expected at least 2 characters',
      'list[0].id: is missing',
      'list[1]: is 7; expected a string or an object',
    ]);
    expect(told({ name: 'abcde', count: Number.NaN })).toEqual([
      'name: is "abcde"; expected at most 4 characters',
      'count: is null; expected a whole number',
    ]);
  });

  it('fills in its defaults at every depth, and changes nothing that is there', () => {
    const value = { name: 'abc', isOn: false };
    expect(withDefaults(SCHEMA, value)).toEqual({ name: 'abc', isOn: false, kind: 'a', inner: { depth: 3 } });
    expect(value).toEqual({ name: 'abc', isOn: false });
  });

  it('writes paths as JavaScript does', () => {
    expect([below('', 'a'), below('a', 'b-c'), below('a', 0), below('a', 'b.c')]).toEqual(['a', 'a.b-c', 'a[0]', 'a["b.c"]']);
  });
});
