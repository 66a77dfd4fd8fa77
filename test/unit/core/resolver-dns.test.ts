import { describe, expect, it } from 'vitest';
import type { DnsRecord } from '../../../src/core/host.js';
import { type DnsResolverOptions, dnsResolver } from '../../../src/core/resolver-dns.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { ResolverLog } from '../../support/resolver-log.js';

const NAME = 'search.internal';
type Answers = Partial<Record<'A' | 'AAAA' | 'SRV', DnsRecord[] | Error | Promise<DnsRecord[]>>>;

function set(host: ReturnType<typeof fakeRuntime>['host'], answers: Answers): void {
  for (const [type, answer] of Object.entries(answers)) host.names.set(`${NAME} ${type}`, answer);
}

async function started(answers: Answers, options: Partial<DnsResolverOptions> = {}) {
  const runtime = fakeRuntime();
  const { host, clock } = runtime;
  set(host, answers);
  const log = new ResolverLog();
  const resolution = log.start(dnsResolver({ name: NAME, port: 80, records: ['A'], ...options }), runtime);
  await clock.settle();
  return { host, clock, log, resolution };
}

const SRV = { records: ['SRV'] as const, port: undefined };
const down = () => new Error('SERVFAIL');

describe('dnsResolver', () => {
  it('makes an endpoint of each address, IPv6 in brackets', async () => {
    const { log } = await started(
      { A: [{ host: '10.0.0.2' }, { host: '10.0.0.1' }, { host: '10.0.0.1' }], AAAA: [{ host: 'fd00::1' }] },
      { records: ['A', 'AAAA'], port: 8000, scheme: 'https' },
    );
    expect(log.endpoints.map(({ id, address }) => [id, address])).toEqual([
      ['https://10.0.0.1:8000', 'https://10.0.0.1:8000'],
      ['https://10.0.0.2:8000', 'https://10.0.0.2:8000'],
      ['https://[fd00::1]:8000', 'https://[fd00::1]:8000'],
    ]);
  });

  it('leaves the port to the scheme when none is given', async () => {
    const { log } = await started({ A: [{ host: '10.0.0.1' }] }, { port: undefined });
    expect(log.endpoints[0]?.address).toBe('http://10.0.0.1');
  });

  it('takes the lowest SRV priority only, with weights', async () => {
    const { log } = await started(
      {
        SRV: [
          { host: 'a.internal.', port: 1, priority: 10, weight: 60 },
          { host: 'b.internal', port: 2, priority: 10, weight: 0 },
          { host: 'a.internal', port: 1, priority: 10, weight: 20 },
          { host: 'spare.internal', port: 3, priority: 20, weight: 60 },
        ],
      },
      SRV,
    );
    expect(log.endpoints.map(({ address, weight }) => [address, weight])).toEqual([
      ['http://a.internal:1', 80],
      ['http://b.internal:2', 0.1],
    ]);
  });

  it('gives SRV targets of weight 0 equal weights, and skips the target "."', async () => {
    const { log } = await started(
      {
        SRV: [
          { host: '.', port: 0, priority: 0, weight: 0 },
          { host: 'a', port: 1, priority: 5, weight: 0 },
          { host: 'b', port: 1, priority: 5, weight: 0 },
        ],
      },
      SRV,
    );
    expect(log.endpoints.map(({ weight }) => weight)).toEqual([1, 1]);
  });

  it('is not moved by an answer in another order', async () => {
    const { host, clock, log } = await started({ A: [{ host: '10.0.0.1' }, { host: '10.0.0.2' }] });
    set(host, { A: [{ host: '10.0.0.2' }, { host: '10.0.0.1' }] });
    await clock.advance(6000);
    expect(log.lists).toHaveLength(1);
  });

  it.each([
    ['a TTL below the bounds', 1, 5000],
    ['a TTL within', 12, 12_000],
    ['a TTL above', 3600, 30_000],
    ['no TTL', undefined, 5000],
  ])('asks again after %s', async (_what, ttl, ms) => {
    const { host, clock } = await started({ A: [{ host: '10.0.0.1', ttl }] });
    await clock.advance(ms - 1);
    expect(host.lookups).toHaveLength(1);
    await clock.advance(ms * 0.1 + 2);
    expect(host.lookups).toHaveLength(2);
  });

  it('keeps the list while look-ups fail, with pauses that grow to the longest interval', async () => {
    const { host, clock, log, resolution } = await started({ A: [{ host: '10.0.0.1' }] });
    set(host, { A: down() });
    await clock.advance(600_000);
    expect(log.lists).toHaveLength(1);
    expect(new Set(log.codes)).toEqual(new Set(['unavailable']));
    // 0.5 s doubling to 30 s, each halved at most: some 20 to 48 failures in ten minutes.
    expect(log.errors.length).toBeGreaterThan(18);
    expect(log.errors.length).toBeLessThan(50);
    expect(resolution.ageMs).toBeGreaterThan(590_000);
    set(host, { A: [{ host: '10.0.0.1' }] });
    await clock.advance(30_000);
    expect(resolution.ageMs).toBeLessThan(30_000);
  });

  it('takes an answer without addresses for a failure', async () => {
    const { host, clock, log } = await started({ A: [{ host: '10.0.0.1' }] });
    set(host, { A: [] });
    await clock.advance(6000);
    expect(log.lists).toHaveLength(1);
    expect(log.codes.length).toBeGreaterThan(0);
  });

  it('keeps the last answer of a type that fails while the other goes on', async () => {
    const both = { records: ['A', 'AAAA'] as const };
    const { host, clock, log } = await started({ A: [{ host: '10.0.0.1' }], AAAA: [{ host: 'fd00::1' }] }, both);
    set(host, { A: [{ host: '10.0.0.2' }], AAAA: down() });
    await clock.advance(6000);
    expect(log.last).toEqual(['http://10.0.0.2:80', 'http://[fd00::1]:80']);
    expect(log.errors).toEqual([]);
  });

  it('does not take half an answer for none', async () => {
    const { log } = await started({ A: [], AAAA: down() }, { records: ['A', 'AAAA'] });
    expect(log.lists).toEqual([]);
    expect(log.codes).toEqual(['unavailable']);
  });

  it('gives up a look-up that hangs, and goes on', async () => {
    const { host, clock, log } = await started({ A: new Promise<DnsRecord[]>(() => {}) });
    await clock.advance(9999);
    expect(host.lookups).toHaveLength(1);
    await clock.advance(1);
    expect(log.codes).toEqual(['deadline-exceeded']);
    set(host, { A: [{ host: '10.0.0.1' }] });
    await clock.advance(500);
    expect(log.last).toEqual(['http://10.0.0.1:80']);
  });

  it('asks again within a second of refresh(), and no more often however often it is called', async () => {
    const { host, clock, resolution } = await started({ A: [{ host: '10.0.0.1', ttl: 3600 }] });
    for (let i = 0; i < 1000; i++) {
      resolution.refresh();
      await clock.advance(10);
    }
    expect(host.lookups.length).toBeGreaterThanOrEqual(10);
    expect(host.lookups.length).toBeLessThanOrEqual(11);
  });

  it('has one look-up in flight, and asks again when refresh() came during it', async () => {
    let answer: (records: DnsRecord[]) => void = () => {};
    const { host, clock, log, resolution } = await started({ A: new Promise<DnsRecord[]>((resolve) => (answer = resolve)) });
    await clock.advance(3000);
    resolution.refresh();
    await clock.advance(3000);
    expect(host.lookups).toHaveLength(1);
    set(host, { A: [{ host: '10.0.0.2' }] });
    answer([{ host: '10.0.0.1' }]);
    await clock.advance(1);
    expect(log.last).toEqual(['http://10.0.0.2:80']);
  });

  it('is silent after close, even when an answer was under way', async () => {
    let answer: (records: DnsRecord[]) => void = () => {};
    const { clock, log, resolution } = await started({ A: new Promise<DnsRecord[]>((resolve) => (answer = resolve)) });
    resolution.close();
    answer([{ host: '10.0.0.1' }]);
    await clock.advance(60_000);
    expect(log.lists).toEqual([]);
    expect(log.errors).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['an empty name', { name: '' }],
    ['no records', { records: [] }],
    ['a record twice', { records: ['A', 'A'] as const }],
    ['SRV beside A', { records: ['A', 'SRV'] as const, port: undefined }],
    ['SRV with a port', { records: ['SRV'] as const }],
    ['a port out of range', { port: 70_000 }],
    ['a bad scheme', { scheme: '1:' }],
    ['bounds that contradict', { intervalMs: 5000, maxIntervalMs: 1000 }],
  ])('refuses %s', (_what, options) => {
    const make = () => dnsResolver({ name: NAME, port: 80, ...options });
    expect(make).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
