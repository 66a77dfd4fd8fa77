import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/core/index.js';
import type { Candidate } from '../../../../src/router/candidate.js';
import { auto, createCounterBlend, p2c, prefixAffinity, ringHash } from '../../../../src/router/index.js';
import { checkPrefixAffinity, PrefixAffinityPicker, PrefixMemory } from '../../../../src/router/pickers/prefix-affinity.js';
import { candidate, candidates, make, picked, request, setOf, shares } from './candidates.js';

const keyed = (key: string) => request(0, { affinity: [key] });

describe('ringHash', () => {
  const set = setOf(candidates(20));
  const homes = (list: ReturnType<typeof setOf>, picker = make(ringHash())) =>
    new Map(
      Array.from({ length: 1000 }, (_, i) => [`key ${i}`, list.candidates[picked(picker, list, keyed(`key ${i}`))]?.endpoint.id]),
    );

  it('sends a key to the same endpoint each time, and from every router', () => {
    const first = homes(set);
    expect(homes(set)).toEqual(first);
    expect(homes(set, make(ringHash(), 99))).toEqual(first);
    expect(new Set(first.values()).size).toBe(20);
  });

  it('moves the keys of an endpoint that goes, and no others', () => {
    const before = homes(set);
    const after = homes(setOf(set.candidates.slice(1), 2));
    for (const [key, home] of before) if (home !== 'e0') expect(after.get(key)).toBe(home);
  });

  it('gives an endpoint keys in proportion to its weight', () => {
    const weighted = setOf(candidates(10, (i) => ({ weight: i === 0 ? 5 : 1 })));
    const counts = [...homes(weighted).values()].filter((id) => id === 'e0').length;
    // 5 of 14, by 1000 keys on some 100 points each.
    expect(counts / 1000).toBeGreaterThan(0.25);
    expect(counts / 1000).toBeLessThan(0.47);
  });

  it('walks on from an endpoint with more than its share of the work, unless there is no bound', () => {
    const picker = make(ringHash());
    const home = picked(picker, set, keyed('hot'));
    const busy = setOf(
      set.candidates.map((one, i) => (i === home ? candidate(one.endpoint.id, { inFlight: 10 }) : one)),
      2,
    );
    expect(picked(picker, busy, keyed('hot'))).not.toBe(home);
    const unbounded = make(ringHash({ loadFactor: Number.POSITIVE_INFINITY }));
    expect(picked(unbounded, busy, keyed('hot'))).toBe(home);
  });

  it('chooses by load where a call has no key', () => {
    const two = setOf([candidate('idle'), candidate('busy', { inFlight: 5 })]);
    expect(shares(make(ringHash()), two, 50)).toEqual([1, 0]);
  });

  it.each([{ loadFactor: 1 }, { loadFactor: Number.NaN }, { points: 0 }, { points: 1.5 }])('refuses %j', (options) => {
    expect(() => ringHash(options)).toThrow(/expected/);
  });

  it('ids that differ in their first letter share the keys alike', () => {
    const counts: Record<string, unknown> = {};
    for (const ids of [
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'],
      ['a-cache:80', 'b-cache:80', 'c-cache:80', 'd-cache:80'],
      ['10.0.0.1:80', '20.0.0.1:80', '30.0.0.1:80', '40.0.0.1:80'],
    ]) {
      const set = setOf(ids.map((id) => candidate(id)));
      const picker = make(ringHash({ loadFactor: Number.POSITIVE_INFINITY }));
      const per = new Array(ids.length).fill(0);
      for (let i = 0; i < 10_000; i++) per[picked(picker, set, keyed(`key ${i}`))]++;
      counts[ids[0] as string] = per;
    }
    for (const per of Object.values(counts) as number[][]) expect(Math.max(...per)).toBeLessThan((2 * 10_000) / per.length);
  });

  it.each([100, 1, 0.1])('bounded load holds whatever unit weights are in (%d)', (weight) => {
    const set = setOf(Array.from({ length: 10 }, (_, i) => candidate(`e${i}`, { weight })));
    const picker = make(ringHash());
    for (let i = 0; i < 50; i++) {
      const index = picked(picker, set, keyed('hot'));
      set.candidates[index]?.counter.enter(1);
    }
    const most = Math.max(...set.candidates.map(({ counter }) => counter.weight));
    expect(most).toBeLessThanOrEqual(8);
  });

  it('is after any changes of the list the ring that it would be if it were made anew', () => {
    const random = seededRandom('flaps');
    const known = candidates(40, (i) => ({ weight: 1 + (i % 3) }));
    const picker = make(ringHash({ loadFactor: Number.POSITIVE_INFINITY }));
    for (let change = 1; change <= 60; change++) {
      const list = known.filter(() => random.next() < 0.7);
      if (list.length === 0) continue;
      const fresh = make(ringHash({ loadFactor: Number.POSITIVE_INFINITY }));
      for (let i = 0; i < 50; i++) {
        const at = keyed(`key ${i}`);
        expect(picker.pickIndex(setOf(list, change), at)).toBe(fresh.pickIndex(setOf(list), at));
      }
    }
  });

  it('moves next to no keys of others when one of many weights goes', () => {
    const list = [...candidates(17), candidate('large', { weight: 4.5 })];
    const before = homes(setOf(list), make(ringHash({ loadFactor: Number.POSITIVE_INFINITY })));
    const rest = list.filter(({ endpoint }) => endpoint.id !== 'e0');
    const after = homes(setOf(rest), make(ringHash({ loadFactor: Number.POSITIVE_INFINITY })));
    const moved = [...before].filter(([key, home]) => home !== 'e0' && after.get(key) !== home).length;
    // The mean of the weights is another one, and with it each one's share of the points.
    expect(moved / before.size).toBeLessThan(0.05);
  });

  it('gives an endpoint that starts slowly its keys one after the other, each once', () => {
    const list = candidates(10);
    const cold = list[3] as (typeof list)[number];
    Object.assign(cold, { warmFromMs: 0, warmUntilMs: 1000, leastWarmth: 0.1 });
    const picker = make(ringHash({ loadFactor: Number.POSITIVE_INFINITY }));
    const keysAt = (now: number) =>
      new Set(
        Array.from({ length: 5000 }, (_, i) => `key ${i}`).filter(
          (key) => picked(picker, setOf(list), request(now, { affinity: [key] })) === 3,
        ),
      );
    const all = keysAt(1000);
    const shares = [0, 250, 500, 750].map((now) => {
      const keys = keysAt(now);
      expect([...keys].every((key) => all.has(key))).toBe(true);
      return keys.size / all.size;
    });
    for (const [i, warmth] of [0.1, 0.25, 0.5, 0.75].entries())
      expect(Math.abs((shares[i] as number) - warmth)).toBeLessThan(0.1);
  });
});

const chain = (session: string, own: number, shared = 10) => [
  ...Array.from({ length: shared }, (_, i) => `system ${i}`),
  ...Array.from({ length: own }, (_, i) => `${session} ${i}`),
];

describe('prefixAffinity', () => {
  const never = { exploreRatio: 0 };

  it('keeps a session where its prefix is known', () => {
    const set = setOf(candidates(8));
    const picker = make(prefixAffinity(never));
    const home = picked(picker, set, request(0, { affinity: chain('s', 10) }));
    for (let turn = 1; turn < 20; turn++) {
      expect(picked(picker, set, request(turn * 100, { affinity: chain('s', 10 + turn) }))).toBe(home);
    }
  });

  it('spreads sessions that begin alike and pause between their calls', () => {
    const set = setOf(candidates(8));
    const picker = make(prefixAffinity(never));
    const counts = new Array<number>(8).fill(0);
    for (let session = 0; session < 160; session++) {
      // Nothing is in flight at any pick.
      const index = picked(picker, set, request(session * 10, { affinity: chain(`s${session}`, 2, 20) }));
      counts[index] = (counts[index] ?? 0) + 1;
    }
    expect(Math.max(...counts)).toBeLessThanOrEqual(30);
    expect(Math.min(...counts)).toBeGreaterThan(10);
  });

  it('leaves an endpoint that is full, for all that it knows', () => {
    const list = candidates(8);
    const set = setOf(list);
    const picker = make(prefixAffinity(never));
    const home = picked(picker, set, request(0, { affinity: chain('s', 20) }));
    for (let i = 0; i < 50; i++) list[home]?.counter.enter(1);
    expect(picked(picker, set, request(1, { affinity: chain('s', 21) }))).not.toBe(home);
  });

  it('sends what nobody knows to the least loaded, not to the first', () => {
    const set = setOf(candidates(8, (i) => ({ inFlight: i === 5 ? 0 : 3 })));
    expect(make(prefixAffinity(never)).pickIndex(set, request(0, { affinity: chain('new', 5, 0) }))).toBe(5);
    const idle = setOf(candidates(8), 2);
    const picked = new Set(
      Array.from({ length: 40 }, (_, seed) => make(prefixAffinity(never), seed).pickIndex(idle, request(0, { affinity: ['x'] }))),
    );
    expect(picked.size).toBeGreaterThan(4);
  });

  it('takes a match below the least ratio for none', () => {
    const set = setOf(candidates(8, (i) => ({ inFlight: i === 2 ? 0 : 1 })));
    const picker = make(prefixAffinity({ ...never, minMatchRatio: 0.5 }));
    const home = picked(picker, set, request(0, { affinity: chain('a', 0, 4) }));
    expect(home).toBe(2);
    for (let i = 0; i < 3; i++) set.candidates[2]?.counter.enter(1);
    expect(picked(picker, set, request(1, { affinity: chain('b', 20, 4) }))).not.toBe(2);
  });

  it('explores now and then', () => {
    const set = setOf(candidates(8, (i) => ({ inFlight: i === 0 ? 0 : 2 })));
    const picker = make(prefixAffinity({ exploreRatio: 0.5 }));
    picked(picker, set, request(0, { affinity: ['k'] }));
    for (let i = 0; i < 4; i++) set.candidates[0]?.counter.enter(1);
    const homes = new Set(Array.from({ length: 60 }, (_, i) => picked(picker, set, request(i, { affinity: ['k'] }))));
    expect(homes.size).toBeGreaterThan(2);
  });

  it('remembers who worked on a prefix, not whom it chose and who had no room', () => {
    const set = setOf(candidates(8));
    const picker = make(prefixAffinity({ exploreRatio: 0 }));
    const at = request(0, { affinity: ['k'] });
    const chosen = picker.pickIndex(set, at);
    const taker = (chosen + 1) % 8;
    picker.onPicked?.(set, set.candidates[taker] as Candidate, at);
    for (let i = 0; i < 5; i++) expect(picker.pickIndex(set, at)).toBe(taker);
  });

  it('knows who knows most at a place, whoever knows more elsewhere', () => {
    const memory = new PrefixMemory(1000);
    const options = checkPrefixAffinity({ exploreRatio: 0 });
    const at = (seed: number) => new PrefixAffinityPicker(seededRandom(seed), options, make(auto()), { isOn: true }, memory);
    const [near, far] = [setOf(candidates(4)), setOf(candidates(8))];
    const keys = chain('shared', 20);
    const nearPicker = at(1);
    for (const one of near.candidates) nearPicker.onPicked(near, one, request(0, { affinity: keys }));
    const farPicker = at(2);
    farPicker.onPicked(far, far.candidates[5] as Candidate, request(0, { affinity: keys.slice(0, 19) }));
    for (let i = 0; i < 20; i++) expect(farPicker.pickIndex(far, request(1, { affinity: keys }))).toBe(5);
  });

  it('forgets endpoints that are gone before those that are there', () => {
    const old = candidates(16);
    const picker = make(prefixAffinity({ exploreRatio: 0 }));
    const at = request(0, { affinity: ['k'] });
    for (const one of old) picker.onPicked?.(setOf(old), one, at);
    for (const one of old.slice(0, 15)) one.isRemoved = true;
    const list = [old[15] as Candidate, ...candidates(4)];
    // The oldest holder is the only one that is left.
    for (const one of list.slice(1)) picker.onPicked?.(setOf(list, 2), one, at);
    for (const [i, one] of list.entries()) expect(picker.pickIndex(setOf([...candidates(3), one], 3 + i), at)).toBe(3);
  });

  it('is as if no call had keys while its switch is off', () => {
    const affinity = { isOn: true };
    const set = setOf(candidates(8));
    const picker = make(prefixAffinity({ ...never, switch: affinity }));
    const home = picked(picker, set, request(0, { affinity: ['k'] }));
    affinity.isOn = false;
    const homes = new Set(Array.from({ length: 60 }, () => picked(picker, set, request(1, { affinity: ['k'] }))));
    expect(homes.size).toBeGreaterThan(3);
    affinity.isOn = true;
    expect(picked(picker, set, request(2, { affinity: ['k'] }))).toBe(home);
  });

  it.each([
    { minMatchRatio: 2 },
    { narrowRatio: -1 },
    { exploreRatio: Number.NaN },
    { slack: -1 },
    { maxKeys: 0 },
    { memoryMs: 0 },
  ])('refuses %j', (options) => {
    expect(() => prefixAffinity(options)).toThrow(/expected/);
  });
});

describe('the counter that is compared', () => {
  /** Host and model counters of each, as its server told. */
  const told = (id: string, host: number, model: number) => {
    const one = candidate(id);
    one.onReport({ namedMetrics: { host, 'model:m': model } }, 0);
    return one;
  };
  const asking = (now = 0) => request(now, { loadKey: 'model:m' });

  it('is the model’s or the host’s, as it is told', () => {
    const set = setOf([told('busy host', 50, 1), told('busy model', 5, 4)]);
    expect(shares(make(p2c({ counter: createCounterBlend({ counter: 'model' }) })), set, 20, asking())).toEqual([1, 0]);
    expect(shares(make(p2c({ counter: createCounterBlend({ counter: 'host' }) })), set, 20, asking())).toEqual([0, 1]);
  });

  it('is the host’s where the model has no work anywhere', () => {
    const set = setOf([told('busy', 50, 0), told('idle', 5, 0)]);
    expect(shares(make(p2c({ counter: createCounterBlend() })), set, 20, asking())).toEqual([0, 1]);
  });

  it('is the host’s for a call that names no model', () => {
    const set = setOf([told('busy host', 50, 0), told('busy model', 5, 4)]);
    expect(shares(make(p2c({ counter: createCounterBlend() })), set, 20)).toEqual([0, 1]);
  });

  it('changes over little by little', () => {
    const blend = createCounterBlend({ counter: 'host', overMs: 1000 });
    expect(blend.at(0)).toBe(0);
    blend.use('model');
    expect(blend.at(5000)).toBe(0);
    expect(blend.at(5250)).toBeCloseTo(0.25, 9);
    expect(blend.at(5500)).toBeCloseTo(0.5, 9);
    blend.use('host');
    expect(blend.at(5500)).toBeCloseTo(0.5, 9);
    expect(blend.at(5750)).toBeCloseTo(0.25, 9);
    expect(blend.at(9000)).toBe(0);
  });

  it('is refused when it is none', () => {
    expect(() => createCounterBlend({ counter: 'cpu' as never })).toThrow(/'host' or 'model'/);
  });
});
