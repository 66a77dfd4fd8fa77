import { describe, expect, it } from 'vitest';
import { createCache } from '../../../src/core/cache.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';

describe('createCache', () => {
  it('holds maxEntries and drops the least recently used', () => {
    const evicted: [number, string][] = [];
    const cache = createCache<string, number>({ clock: virtualClock(), maxEntries: 2, onEvict: (v, k) => evicted.push([v, k]) });
    cache.set('a', 1);
    cache.set('b', 2);
    cache.get('a');
    cache.set('c', 3);
    expect([cache.get('a'), cache.get('b'), cache.get('c'), cache.size]).toEqual([1, undefined, 3, 2]);
    expect(evicted).toEqual([[2, 'b']]);
  });

  it('forgets after ttlMs of the injected clock, also what was set at its origin', async () => {
    const clock = virtualClock();
    const evicted: string[] = [];
    const cache = createCache<string, number>({ clock, maxEntries: 9, ttlMs: 100, onEvict: (_v, k) => evicted.push(k) });
    cache.set('a', 1);
    await clock.advance(50);
    cache.set('b', 1);
    expect(cache.get('a')).toBe(1);
    await clock.advance(51);
    expect(cache.get('a')).toBeUndefined();
    expect(cache.get('b')).toBe(1);
    expect(evicted).toEqual(['a']);
    expect(clock.pending).toBe(0);
  });

  it('does not tell of what is deleted, cleared or replaced', () => {
    const evicted: string[] = [];
    const cache = createCache<string, number>({ clock: virtualClock(), maxEntries: 9, onEvict: (_v, k) => evicted.push(k) });
    for (const key of ['a', 'a', 'b', 'c']) cache.set(key, 1);
    expect([cache.delete('b'), cache.delete('b')]).toEqual([true, false]);
    cache.clear();
    expect([cache.size, evicted]).toEqual([0, []]);
  });

  it.each([{ maxEntries: 0 }, { maxEntries: 1.5 }, { maxEntries: 1, ttlMs: 0 }])('refuses %j', (options) => {
    const make = () => createCache({ clock: virtualClock(), ...options });
    expect(make).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
