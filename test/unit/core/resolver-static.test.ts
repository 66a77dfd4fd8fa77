import { describe, expect, it } from 'vitest';
import { staticResolver } from '../../../src/core/resolver-static.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { ResolverLog } from '../../support/resolver-log.js';

describe('staticResolver', () => {
  it('tells its list once, after start, and never ages', async () => {
    const runtime = fakeRuntime();
    const log = new ResolverLog();
    const resolution = log.start(staticResolver(['http://a:1', { id: 'b', address: 'http://b:1' }]), runtime);
    expect(log.lists).toEqual([]);
    await runtime.clock.advance(60_000);
    expect(log.lists).toEqual([{ ids: ['b', 'http://a:1'], source: 'live' }]);
    expect(resolution.ageMs).toBe(0);
    resolution.refresh();
    await runtime.clock.advance(60_000);
    expect(log.lists).toHaveLength(1);
  });

  it('tells nothing after close', async () => {
    const runtime = fakeRuntime();
    const log = new ResolverLog();
    log.start(staticResolver(['http://a:1']), runtime).close();
    await runtime.clock.settle();
    expect(log.lists).toEqual([]);
  });

  it('sends what its listener throws to diagnostics', async () => {
    const runtime = fakeRuntime();
    const onEndpoints = () => {
      throw new Error('broken listener');
    };
    staticResolver(['http://a:1']).start(runtime, { onEndpoints, onError() {} });
    await runtime.clock.settle();
    expect(runtime.diagnostics.total).toBe(1);
  });

  it.each([
    ['an empty list', []],
    ['a malformed address', ['a:1']],
    ['an id used twice', ['http://a:1', 'http://a:1/']],
  ])('refuses %s at once', (_what, endpoints) => {
    expect(() => staticResolver(endpoints)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
