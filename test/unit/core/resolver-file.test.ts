import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../src/core/errors.js';
import { type FileResolverOptions, fileResolver } from '../../../src/core/resolver-file.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { ResolverLog } from '../../support/resolver-log.js';

const PATH = '/etc/endpoints.json';

async function started(content: unknown, options: Partial<FileResolverOptions> = {}) {
  const runtime = fakeRuntime();
  if (content !== undefined) runtime.host.setFile(PATH, content);
  const log = new ResolverLog();
  const resolution = log.start(fileResolver({ path: PATH, ...options }), runtime);
  await runtime.clock.settle();
  return { runtime, host: runtime.host, clock: runtime.clock, log, resolution };
}

describe('fileResolver', () => {
  it.each([
    ['an array', ['http://a:1']],
    ['an object', { v: 1, endpoints: ['http://a:1'] }],
  ])('reads %s', async (_what, content) => {
    const { log } = await started(content);
    expect(log.lists).toEqual([{ ids: ['http://a:1'], source: 'live' }]);
  });

  it('reads a file that begins with a byte order mark', async () => {
    const { log } = await started('\uFEFF["http://a:1"]');
    expect(log.last).toEqual(['http://a:1']);
  });

  it('hears of a change within 25 ms where the system tells, and reads once a burst', async () => {
    const { host, clock, log } = await started(['http://a:1']);
    let reads = 0;
    const read = host.readFile.bind(host);
    host.readFile = (path, max) => {
      reads++;
      return read(path, max);
    };
    for (let i = 0; i < 10; i++) host.setFile(PATH, [`http://b:${i + 1}`]);
    await clock.advance(25);
    expect(log.last).toEqual(['http://b:10']);
    expect(reads).toBe(1);
  });

  it('is read although hints never cease', async () => {
    const { host, clock, log } = await started(['http://a:1']);
    for (let i = 1; i <= 20; i++) {
      host.setFile(PATH, [`http://b:${i}`]);
      await clock.advance(10);
    }
    expect(log.lists.length).toBeGreaterThan(5);
  });

  it('polls with jitter where it is not told', async () => {
    const { host, clock, log } = await started(['http://a:1'], { intervalMs: 1000 });
    host.setFile(PATH, ['http://b:1'], true);
    await clock.advance(899);
    expect(log.last).toEqual(['http://a:1']);
    await clock.advance(202);
    expect(log.last).toEqual(['http://b:1']);
  });

  it('has the age of its last reading', async () => {
    const { clock, resolution, host } = await started(['http://a:1'], { intervalMs: 1000 });
    expect(resolution.ageMs).toBe(0);
    await clock.advance(10_000);
    expect(resolution.ageMs).toBeLessThan(1101);
    host.files.delete(PATH);
    await clock.advance(10_000);
    expect(resolution.ageMs).toBeGreaterThan(9000);
  });

  it.each([
    ['half a file', '["http://a:1", "htt', 'invalid-argument'],
    ['a malformed address', '["a:1"]', 'invalid-argument'],
    ['an id twice', '["http://a:1","http://a:1"]', 'invalid-argument'],
    ['an object without endpoints', '{"a":1}', 'invalid-argument'],
    ['a control character', '\u0000', 'invalid-argument'],
    ['an empty list', '[]', 'unavailable'],
    ['an empty file', '', 'invalid-argument'],
  ])('keeps the last good list over %s, and says so at each look', async (_what, text, code) => {
    const { host, clock, log } = await started(['http://good:1'], { intervalMs: 1000 });
    host.setFile(PATH, text);
    await clock.advance(25);
    expect(log.codes).toEqual([code]);
    await clock.advance(1200);
    expect(log.codes).toEqual([code, code]);
    expect(log.lists).toHaveLength(1);
    host.setFile(PATH, ['http://good:1']);
    await clock.advance(25);
    expect(log.errors).toHaveLength(2);
    expect(log.lists).toHaveLength(1);
  });

  it('reports a missing file, one too long, and one it may not read', async () => {
    const { host, clock, log, resolution } = await started(undefined);
    expect(resolution.ageMs).toBe(Number.POSITIVE_INFINITY);
    host.setFile(PATH, ' '.repeat(16 * 1024 * 1024 + 1));
    await clock.advance(25);
    host.fileError = new EvenkeelError('permission-denied', 'no');
    resolution.refresh();
    await clock.advance(25);
    expect(log.codes).toEqual(['not-found', 'out-of-range', 'permission-denied']);
  });

  it('believes an empty list with allowEmpty', async () => {
    const { host, clock, log } = await started(['http://a:1'], { allowEmpty: true });
    host.setFile(PATH, []);
    await clock.advance(25);
    expect(log.last).toEqual([]);
  });

  it('leaves no timer and no watch behind when closed', async () => {
    const { runtime, clock, host, resolution, log } = await started(['http://a:1']);
    resolution.close();
    resolution.close();
    resolution.refresh();
    host.setFile(PATH, ['http://b:1']);
    await clock.advance(60_000);
    expect(runtime.clock.pending).toBe(0);
    expect(host.watchers(PATH)).toBe(0);
    expect(log.lists).toHaveLength(1);
  });

  it('refuses an empty path and intervals out of range', () => {
    expect(() => fileResolver({ path: '' })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => fileResolver({ path: 'a', intervalMs: 1 })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
