/**
 * The one door to lru-cache: bounded, on an injected clock, no background timers. For what may be forgotten at any moment (parsed
 * headers, affinity, idle limiters), never for work in flight.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from './clock.js';
import { checkInteger, checkNumber } from './errors.js';

export interface Cache<K extends {}, V extends {}> {
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  delete(key: K): boolean;
  clear(): void;
  /** The most recently used first. */
  values(): Iterable<V>;
  /** Entries, expired ones that nobody asked for included. */
  readonly size: number;
}

/**
 * @param options.maxEntries - 1 and up; the least recently used entry goes first.
 * @param options.ttlMs - Milliseconds after `set`. Default: no limit.
 * @param options.onEvict - Told of every entry that leaves by age or for lack of room; not of those deleted, cleared or replaced.
 */
export function createCache<K extends {}, V extends {}>(options: {
  clock: Pick<Clock, 'now'>;
  maxEntries: number;
  ttlMs?: number;
  onEvict?: (value: V, key: K) => void;
}): Cache<K, V> {
  const { clock, onEvict } = options;
  return new LRUCache<K, V>({
    max: checkInteger('maxEntries', options.maxEntries, 1),
    ttl: options.ttlMs === undefined ? 0 : checkNumber('ttlMs', options.ttlMs, 1),
    // ttlResolution 0: the library would otherwise cache the time with a setTimeout of its own.
    ttlResolution: 0,
    ttlAutopurge: false,
    // It takes a start of 0, which a virtual clock has, for "no time to live".
    perf: { now: () => clock.now() + 1 },
    ...(onEvict === undefined
      ? undefined
      : { dispose: (value: V, key: K, reason: string) => reason !== 'delete' && reason !== 'set' && onEvict(value, key) }),
  });
}
