import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../src/core/errors.js';
import { MAX_CACHE_BYTES } from '../../../src/core/resolver-cache.js';
import { EndpointList } from '../../../src/core/resolver-list.js';
import { type FakeRuntime, fakeRuntime } from '../../support/fake-host.js';
import { ResolverLog } from '../../support/resolver-log.js';

const CACHE = '/var/cache/search.json';

function listOf(runtime: FakeRuntime, options: { cacheFile?: string; allowEmpty?: boolean } = {}, name = 'test') {
  const log = new ResolverLog();
  return { log, list: new EndpointList(name, runtime, log, options) };
}

/** A disk on which a resolver of `name` has left a copy. */
async function withCopy(name = 'test'): Promise<FakeRuntime> {
  const runtime = fakeRuntime();
  const { list } = listOf(runtime, { cacheFile: CACHE }, name);
  list.offer(['http://a:1', { id: 'b', address: 'http://b:1', weight: 2, locality: 'x', attributes: { gpu: 'h100', 2: 'x' } }]);
  await runtime.clock.settle();
  list.close();
  return runtime;
}

describe('the last good list', () => {
  it('is told when it changes, not when it comes in another order', () => {
    const { log, list } = listOf(fakeRuntime());
    list.offer(['http://a:1', 'http://b:1']);
    list.offer(['http://b:1', 'http://a:1']);
    list.offer(['http://a:1', 'http://b:1', 'http://c:1']);
    list.offer(['http://a:1', { id: 'http://b:1', address: 'http://b:1', weight: 3 }, 'http://c:1']);
    expect(log.lists.map(({ ids }) => ids.length)).toEqual([2, 3, 3]);
    expect(Object.isFrozen(log.endpoints)).toBe(true);
  });

  it('stays, and ages, when its source fails or suddenly knows nobody', async () => {
    const runtime = fakeRuntime();
    const { log, list } = listOf(runtime);
    expect(list.ageMs).toBe(Number.POSITIVE_INFINITY);
    list.offer(['http://a:1']);
    await runtime.clock.advance(1000);
    list.offer([]);
    list.prove();
    await runtime.clock.advance(1000);
    list.fail(new Error('no route'));
    expect(log.codes).toEqual(['unavailable', 'unavailable']);
    expect(log.lists).toHaveLength(1);
    expect(list.ageMs).toBe(2000);
    list.offer(['http://a:1']);
    expect(list.ageMs).toBe(0);
  });

  it('may be empty from the beginning', () => {
    const { log, list } = listOf(fakeRuntime());
    list.offer([]);
    expect(log.lists).toEqual([{ ids: [], source: 'live' }]);
    expect(log.errors).toEqual([]);
  });

  it('goes to a listener that throws without harm to the source', () => {
    const runtime = fakeRuntime();
    const fail = () => {
      throw new Error('broken');
    };
    const list = new EndpointList('test', runtime, { onEndpoints: fail, onError: fail });
    list.offer(['http://a:1']);
    list.fail(new EvenkeelError('unavailable', 'gone'));
    expect(runtime.diagnostics.total).toBe(2);
  });
});

describe('its copy on disk', () => {
  it('is delivered at once, with its age, when the source is silent', async () => {
    const runtime = await withCopy();
    await runtime.clock.advance(30_000);
    const { log, list } = listOf(runtime, { cacheFile: CACHE });
    await runtime.clock.settle();
    expect(log.lists).toEqual([{ ids: ['b', 'http://a:1'], source: 'cache' }]);
    expect(log.endpoints[1]).toEqual({
      id: 'b',
      address: 'http://b:1',
      weight: 2,
      locality: 'x',
      attributes: { gpu: 'h100', 2: 'x' },
    });
    expect(list.ageMs).toBe(30_000);
    list.fail(new EvenkeelError('unavailable', 'down'));
    await runtime.clock.advance(1000);
    expect(list.ageMs).toBe(31_000);
  });

  it('gives way to the source, which confirms it even when nothing changed', async () => {
    const runtime = await withCopy();
    const { log, list } = listOf(runtime, { cacheFile: CACHE });
    await runtime.clock.settle();
    list.offer(log.endpoints);
    expect(log.lists.map(({ source }) => source)).toEqual(['cache', 'live']);
    expect(list.ageMs).toBe(0);
  });

  it('does not replace a live list, and outlives a source that comes back empty', async () => {
    const runtime = await withCopy();
    const first = listOf(runtime, { cacheFile: CACHE });
    first.list.offer(['http://live:1']);
    await runtime.clock.settle();
    expect(first.log.lists).toEqual([{ ids: ['http://live:1'], source: 'live' }]);
    const second = listOf(runtime, { cacheFile: CACHE });
    await runtime.clock.settle();
    second.list.offer([]);
    expect(second.log.last).toEqual(['http://live:1']);
    expect(second.log.codes).toEqual(['unavailable']);
  });

  it.each([
    ['a flipped byte', (text: string) => text.replace('http://a:1', 'http://x:1')],
    ['a younger date', (text: string) => text.replace(/"savedAt":\d/, '"savedAt":9')],
    ['half of it', (text: string) => text.slice(0, text.length / 2)],
    ['no JSON', () => 'garbage'],
    ['another version', (text: string) => text.replace('"v":1', '"v":2')],
    ['null', () => 'null'],
    ['a list', () => '[]'],
    ['nothing', () => ''],
    ['no checksum', () => '{"v":1,"name":"test","endpoints":[],"savedAt":1}'],
  ])('is ignored and reported with %s', async (_what, change) => {
    const runtime = await withCopy();
    const text = new TextDecoder().decode(runtime.host.files.get(CACHE));
    runtime.host.setFile(CACHE, change(text));
    const { log, list } = listOf(runtime, { cacheFile: CACHE });
    await runtime.clock.settle();
    expect(log.lists).toEqual([]);
    expect(log.errors).toEqual([]);
    expect(list.ageMs).toBe(Number.POSITIVE_INFINITY);
    expect(runtime.diagnostics.total).toBe(1);
    expect(runtime.host.warnings[0]).toContain('the cached endpoint list is ignored');
  });

  it('is ignored when another resolver wrote it, and when it is too long', async () => {
    const runtime = await withCopy('other');
    const { log } = listOf(runtime, { cacheFile: CACHE });
    await runtime.clock.settle();
    runtime.host.files.set(CACHE, new Uint8Array(MAX_CACHE_BYTES + 1));
    const second = listOf(runtime, { cacheFile: CACHE });
    await runtime.clock.settle();
    expect([...log.lists, ...second.log.lists]).toEqual([]);
    expect(runtime.diagnostics.total).toBe(2);
  });

  it('is missing without a word', async () => {
    const runtime = fakeRuntime();
    listOf(runtime, { cacheFile: CACHE });
    await runtime.clock.settle();
    expect(runtime.diagnostics.total).toBe(0);
  });

  it('is written at each change and once a minute besides, never empty', async () => {
    const runtime = fakeRuntime();
    const { list } = listOf(runtime, { cacheFile: CACHE, allowEmpty: true });
    list.offer(['http://a:1']);
    list.offer(['http://b:1']);
    list.offer(['http://c:1']);
    await runtime.clock.settle();
    expect(runtime.host.writes).toBe(2);
    for (let i = 0; i < 120; i++) {
      list.prove();
      await runtime.clock.advance(1000);
    }
    expect(runtime.host.writes).toBe(3);
    list.offer([]);
    await runtime.clock.settle();
    const next = listOf(runtime, { cacheFile: CACHE });
    await runtime.clock.settle();
    expect(next.log.last).toEqual(['http://c:1']);
  });

  it('that cannot be written is reported and nothing else', async () => {
    const runtime = fakeRuntime();
    runtime.host.fileError = new EvenkeelError('resource-exhausted', 'disk full');
    const { log, list } = listOf(runtime, { cacheFile: CACHE });
    list.offer(['http://a:1']);
    await runtime.clock.settle();
    expect(log.last).toEqual(['http://a:1']);
    expect(log.errors).toEqual([]);
    expect(runtime.diagnostics.total).toBe(2);
  });
});
