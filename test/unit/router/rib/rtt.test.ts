import { describe, expect, it } from 'vitest';
import { decodeRtt, type MeasureRttOptions, measureRtt } from '../../../../src/router/rib/rtt.js';
import { fakeRuntime } from '../../../support/fake-host.js';
import { ribRig } from '../../../support/rib-rig.js';

const TARGETS = [
  { id: 'here', address: 'http://here:80', locality: 'eu/w/b' },
  { id: 'near', address: 'http://near:80', locality: 'eu/n/a' },
  { id: 'far', address: 'http://far:80', locality: 'us/e/a' },
  { id: 'nowhere', address: 'http://nowhere:80' },
];

function setUp() {
  const rig = ribRig();
  const probes: string[] = [];
  const times: Record<string, number> = { near: 20, far: 80 };
  const open = (name: string, options: Partial<MeasureRttOptions> = {}) =>
    measureRtt({
      state: rig.state,
      locality: 'eu/w/a',
      endpoints: () => TARGETS,
      measure: async ({ id }) => {
        probes.push(`${name} ${id}`);
        return times[id] ?? Number.NaN;
      },
      runtime: fakeRuntime({ clock: rig.clock, seed: name.charCodeAt(0) }),
      ...options,
    });
  const known = async (to: string) => {
    const entry = await rig.state.get(`rtt/eu%2Fw/${to}`);
    return entry && decodeRtt(entry.value).rttMs;
  };
  return { ...rig, probes, times, open, known };
}

describe('measuring round trips', () => {
  it('is done by one process for each pair of regions', async () => {
    const { clock, probes, open, known } = setUp();
    open('a');
    open('b');
    await clock.advance(120_000);
    expect(await known('eu%2Fn')).toBe(20);
    expect(await known('us%2Fe')).toBe(80);
    expect(new Set(probes.map((probe) => probe.split(' ')[1]))).toEqual(new Set(['near', 'far']));
    for (const to of ['near', 'far']) {
      expect(new Set(probes.filter((probe) => probe.endsWith(to)).map((probe) => probe.split(' ')[0])).size).toBe(1);
    }
    expect(probes.length).toBeLessThan(2 * 13);
  });

  it('smooths, and rounds to what is news', async () => {
    const { clock, times, open, known } = setUp();
    open('a');
    await clock.advance(60_000);
    times.near = 120;
    await clock.advance(11_000);
    const next = (await known('eu%2Fn')) ?? 0;
    expect(next).toBeGreaterThan(30);
    expect(next).toBeLessThan(70);
    await clock.advance(600_000);
    expect(await known('eu%2Fn')).toBe(120);
  });

  it('leaves out what is no measurement, and hangs, and forgets a pair that nobody measures', async () => {
    const { clock, times, open, known, state, runtime } = setUp();
    const measurers = open('a');
    await clock.advance(30_000);
    for (const nonsense of [Number.NaN, -5, 1e12]) {
      times.far = nonsense;
      await clock.advance(12_000);
    }
    expect(await known('us%2Fe')).toBe(80);
    await measurers.close();
    open('b', { measure: () => new Promise(() => {}) });
    await clock.advance(59_000);
    await state.get('x');
    await clock.advance(30_000);
    expect(await known('us%2Fe')).toBeUndefined();
    expect(runtime.host.warnings).toEqual([]);
  });

  it('is taken over when the measurer dies', async () => {
    const { clock, open, known, times } = setUp();
    const first = open('a');
    await clock.advance(30_000);
    open('b');
    await first.close();
    times.near = 30;
    await clock.advance(60_000);
    expect(await known('eu%2Fn')).toBe(30);
  });

  it('stops at close', async () => {
    const { clock, open, probes } = setUp();
    const measurers = open('a');
    await clock.advance(30_000);
    await measurers.close();
    await measurers[Symbol.asyncDispose]();
    const count = probes.length;
    await clock.advance(100_000);
    expect(probes).toHaveLength(count);
    expect(clock.pending).toBeLessThanOrEqual(1);
  });

  it.each([
    ['no region', { locality: '' }],
    ['an interval too short', { intervalMs: 1 }],
    ['no probe', { measure: undefined }],
  ])('refuses %s', (_what, options) => {
    const { open } = setUp();
    expect(() => open('a', options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
