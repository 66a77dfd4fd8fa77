import { describe, expect, it } from 'vitest';
import {
  announcedService,
  announcementKey,
  announcementPrefix,
  decodeAnnouncement,
  decodeUnder,
  encodeAnnouncement,
} from '../../../src/core/announcement.js';
import { parseEndpoint } from '../../../src/core/endpoint.js';
import { checkKey } from '../../../src/core/internal/keys.js';
import { VERSION } from '../../../src/core/version.js';

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
    // For people who look at the store: which servers have which release.
    expect(JSON.parse(new TextDecoder().decode(bytes)).release).toBe(VERSION);
    const later = new TextEncoder().encode(JSON.stringify({ v: 1, endpoint: { ...endpoint, new: 1 }, holder: 'h', more: [] }));
    expect(decodeAnnouncement('s', announcementKey('s', 'a'), later)).toEqual(endpoint);
  });

  it('brings the load of those who told it, and leaves out what is none', () => {
    const endpoint = parseEndpoint('http://a:1');
    const key = announcementKey('s', endpoint.id);
    const decode = (load: unknown) => {
      const bytes = new TextEncoder().encode(JSON.stringify({ v: 1, endpoint, holder: 'h', load }));
      return decodeUnder(announcementPrefix('s'), key, bytes).load;
    };
    expect(decode({ utilization: 0.5, rps: 1, eps: 0 })).toEqual({ utilization: 0.5, rps: 1, eps: 0 });
    expect(decode({ utilization: -1, rps: 'x' })).toEqual({});
    expect([decode(undefined), decode(null), decode(3)]).toEqual([undefined, undefined, undefined]);
  });

  it('names the service in its key', () => {
    expect(announcedService(announcementKey('Team/search', 'a'))).toBe('Team%2Fsearch');
    for (const key of ['services/a', 'services/a/endpoints/', 'other/a/endpoints/x', 'services/a/endpoints/x/y', '']) {
      expect(announcedService(key)).toBeUndefined();
    }
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
