/** A quota over processes: options, and what is told of it. */

import { checkInteger, checkNumber, invalidArgument } from '../core/errors.js';
import { checkKey } from '../core/internal/keys.js';
import type { StateTransport } from '../core/transport/state.js';

export interface ShareOptions {
  /** Where the instances meet. Not closed by the limiter. */
  state: StateTransport;
  /** The same for all that share the quota. Their documents are below it. */
  key: string;
  /** Names this process in the store, for people. 1 to 100 characters without a slash. Two of one name are two all the same. Default `limiter`. */
  instance?: string;
  /** How long the share of an instance that died without a word stays its own. Milliseconds; default 5,000; three times `everyMs` to 3,600,000. */
  leaseMs?: number;
  /** Each instance writes at most once in this time. Milliseconds; default 1,000; 100 to 60,000. Shares follow demand within about two of it. */
  everyMs?: number;
  /**
   * The limit of an instance that starts while the store is away; 0 to the quota, whole. Default 1: nobody knows how many others start without the store
   * just then, and one call at a time is what they hurt least by. Whoever knows says `floor(quota / instances)`.
   */
  fallback?: number;
}

/**
 * `starting`: nothing is known yet, and the share is 0 · `shared`: the share follows the demand of all · `kept`: the store is away, slow or stale, and the
 * last share is in force · `fallback`: it was away from the start.
 */
export type ShareState = (typeof SHARE_STATES)[number];

export const SHARE_STATES = ['starting', 'shared', 'kept', 'fallback'] as const;

export interface ShareSnapshot {
  readonly state: ShareState;
  readonly share: number;
  /** Of all; the least that any of them was configured with. */
  readonly quota: number;
  /** Instances known, this one included. */
  readonly instances: number;
  /** Of this instance as it was last told to the others. */
  readonly demand: number;
  /** Documents ignored so far, since they were none. */
  readonly malformed: number;
}

export interface ShareSettings {
  readonly state: StateTransport;
  readonly key: string;
  readonly instance: string;
  readonly leaseMs: number;
  readonly everyMs: number;
  readonly fallback: number;
  readonly quota: number;
}

export const DEFAULT_SHARE_LEASE_MS = 5000;
export const DEFAULT_SHARE_EVERY_MS = 1000;
const LEASE_PERIODS = 3;

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function resolveShare(options: ShareOptions, quota: number): ShareSettings {
  const { state, key, instance = 'limiter' } = options;
  if (typeof state?.watch !== 'function') throw invalidArgument('share.state', state, 'a StateTransport');
  checkInteger('limit, as a quota to share,', quota, 1);
  if (typeof instance !== 'string' || instance.length === 0 || instance.length > 100 || instance.includes('/'))
    throw invalidArgument('share.instance', instance, '1 to 100 characters without a slash');
  checkKey('share.key', key);
  checkKey('share.key and share.instance', `${key}/${instance}-${'0'.repeat(32)}`);
  const everyMs = checkNumber('share.everyMs', options.everyMs ?? DEFAULT_SHARE_EVERY_MS, 100, 60_000);
  const least = LEASE_PERIODS * everyMs;
  return {
    state,
    key,
    instance,
    everyMs,
    leaseMs: checkNumber('share.leaseMs', options.leaseMs ?? Math.max(DEFAULT_SHARE_LEASE_MS, least), least, 3_600_000),
    fallback: checkInteger('share.fallback', options.fallback ?? 1, 0, quota),
    quota,
  };
}
