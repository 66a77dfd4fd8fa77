import { describe, expect, it } from 'vitest';
import { addForwarded, endToEnd, isLooping } from '../../../src/cli/proxy/end-to-end.js';
import { refusalOf } from '../../../src/cli/proxy/refusal.js';
import { RouteTable } from '../../../src/cli/proxy/routes.js';
import { parseTarget } from '../../../src/cli/proxy/target.js';
import { ERROR_CODES, EvenkeelError } from '../../../src/core/errors.js';

describe('a route table', () => {
  const table = new RouteTable([
    { pathPrefix: '/', service: 'any' },
    { pathPrefix: '/v1', service: 'v1' },
    { pathPrefix: '/v1/chat/', service: 'chat' },
    { host: '*.test', pathPrefix: '/', service: 'wild' },
    { host: '*.b.test', pathPrefix: '/', service: 'wilder' },
    { host: 'a.b.test', pathPrefix: '/v1', service: 'exact' },
    { host: '[::1]', pathPrefix: '/', service: 'six' },
  ]);

  it.each([
    ['x', '/', 'any'],
    ['x', '/v1', 'v1'],
    ['x', '/v1?q', 'v1'],
    ['x', '/v1/models', 'v1'],
    ['x', '/v10', 'any'],
    ['x', '/v1/chat', 'chat'],
    ['x', '/v1/chat/completions', 'chat'],
    ['', '/v1/chatter', 'v1'],
    ['a.test', '/v1', 'wild'],
    ['A.TEST:8080', '/', 'wild'],
    ['.test', '/', 'any'],
    ['test', '/', 'any'],
    ['z.b.test', '/', 'wilder'],
    ['a.b.test.:80', '/v1/x', 'exact'],
    ['a.b.test', '/other', 'wilder'],
    ['[::1]:80', '/', 'six'],
  ])('finds for host %j and path %s the service %s', (host, path, service) => {
    expect(table.find(host, path)).toBe(service);
  });

  it('finds nobody where no route fits', () => {
    expect(new RouteTable([{ host: 'a', pathPrefix: '/x', service: 's' }]).find('a', '/y')).toBeUndefined();
  });
});

describe('a request target', () => {
  it.each([
    ['/a?b=..#c', 'h', { path: '/a?b=..', host: 'h' }],
    ['http://o.test:1/a', 'h', { path: '/a', host: 'o.test:1' }],
    ['https://o.test', 'h', { path: '/', host: 'o.test' }],
    ['http://o.test?q', 'h', { path: '/?q', host: 'o.test' }],
    ['/a..b/.c/...', 'h', { path: '/a..b/.c/...', host: 'h' }],
    ['/a%20b', 'h', { path: '/a%20b', host: 'h' }],
  ])('%s is taken', (raw, host, expected) => {
    expect(parseTarget(raw, host)).toEqual(expected);
  });

  it.each(['*', '', 'a', 'o.test:443', '/a b', '/ä', '/..', '/a/./b', '/a/%2E./b', '/a%2f..%2fb', '/a\\..\\b', '/a/..'])(
    '%j is refused',
    (raw) => {
      expect(parseTarget(raw, 'h')).toBeUndefined();
    },
  );
});

describe('headers on their way', () => {
  it('keep their order and case, bytes as text, without those of the connection', () => {
    const headers = [
      'X-A',
      '1',
      Buffer.from('Connection'),
      Buffer.from('close, X-B'),
      'X-B',
      '2',
      'x-a',
      Buffer.from([0xe4]),
      'TE',
      't',
    ];
    expect(endToEnd(headers)).toEqual(['X-A', '1', 'x-a', 'ä']);
  });

  it('go in circles after eight times through', () => {
    const via = (count: number) => ['Via', Array(count).fill('1.1 evenkeel').join(', '), 'via', '2 other'];
    expect([isLooping(via(7)), isLooping(via(8)), isLooping(['via', '1.1 evenkeel-like'])]).toEqual([false, true, false]);
  });

  it('say where the caller is, in brackets when it is IPv6', () => {
    expect(addForwarded([], 'forwarded', '::1', '')).toEqual(['forwarded', 'for="[::1]";proto=http']);
    expect(addForwarded(['x-forwarded-for', 'a'], 'x-forwarded-for', '::ffff:1.2.3.4', '')).toEqual([
      'x-forwarded-for',
      'a, 1.2.3.4',
    ]);
  });
});

describe('a refusal', () => {
  it('has a status and words of its own for every code, and nothing of the error', () => {
    for (const code of ERROR_CODES) {
      const { status, message } = refusalOf(new EvenkeelError(code, 'http://10.0.0.7 said ECONNREFUSED', { attempts: 1 }));
      expect(status).toBeGreaterThanOrEqual(400);
      expect(message).not.toMatch(/10\.0|ECONN/);
    }
    expect(refusalOf(new Error('secret'))).toEqual({
      status: 500,
      code: 'internal',
      message: 'the proxy failed',
      isUnsent: false,
    });
  });

  it('says that nothing was sent when that is sure', () => {
    expect(refusalOf(new EvenkeelError('unavailable', '', { retryable: 'yes', attempts: 0 }))).toMatchObject({
      status: 503,
      isUnsent: true,
    });
    expect(refusalOf(new EvenkeelError('unavailable', '', { retryable: 'yes', attempts: 2 }))).toMatchObject({
      status: 502,
      isUnsent: true,
    });
    expect(refusalOf(new EvenkeelError('unavailable', '', { retryable: 'unknown', attempts: 1 }))).toMatchObject({
      isUnsent: false,
    });
  });
});
