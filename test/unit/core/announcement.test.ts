import { describe, expect, it } from 'vitest';
import { announcementKey, decodeAnnouncement, encodeAnnouncement } from '../../../src/core/announcement.js';
import { parseEndpoint } from '../../../src/core/endpoint.js';
import { checkKey } from '../../../src/core/internal/keys.js';

describe('an announcement', () => {
  it.each([
    'a',
    'http://[::1]:80',
    '.',
    '..',
    '...',
    '日本'.repeat(100),
    'x'.repeat(256),
    '\u0000',
    '~',
    '%2F',
    'a/../b',
    '\ud800',
  ])('has a key that every store takes, for the id %j', (id) => {
    expect(checkKey('key', announcementKey('Team/search', id))).toMatch(/^services\/Team%2Fsearch\/endpoints\/[^/]+$/);
  });

  it('comes back as it was written, unknown fields aside', () => {
    const endpoint = parseEndpoint({ id: 'a', address: 'http://a:1', weight: 2, locality: 'x', attributes: { a: 'b' } });
    const bytes = encodeAnnouncement(endpoint, 'h');
    expect(decodeAnnouncement('s', announcementKey('s', 'a'), bytes)).toEqual(endpoint);
    const later = new TextEncoder().encode(JSON.stringify({ v: 1, endpoint: { ...endpoint, new: 1 }, holder: 'h', more: [] }));
    expect(decodeAnnouncement('s', announcementKey('s', 'a'), later)).toEqual(endpoint);
  });

  it.each([
    '',
    'x',
    'null',
    '[]',
    '{}',
    '{"v":2,"endpoint":"http://a:1"}',
    '{"v":1}',
    '{"v":1,"endpoint":"a"}',
    '{"v":1,"endpoint":"http://b:1"}',
  ])('is refused when it is %j', (text) => {
    const decode = () => decodeAnnouncement('s', announcementKey('s', 'a'), new TextEncoder().encode(text));
    expect(decode).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it('is refused when it is not UTF-8', () => {
    const decode = () => decodeAnnouncement('s', announcementKey('s', 'a'), Uint8Array.of(0xff));
    expect(decode).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
