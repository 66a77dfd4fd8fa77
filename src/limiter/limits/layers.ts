/** The limit of one limiter, from its options: looked at before it counts, braked by signals, and split with other processes. */

import { invalidArgument } from '../../core/errors.js';
import { checkedLimit } from './checked.js';
import { gradientLimit } from './gradient.js';
import type { Limit, LimitFactory, LimitSurroundings } from './limit.js';
import { quotaOnly, SharedLimit } from './shared.js';
import { BrakedLimit, checkSignals, type LimitSignal } from './signals.js';

export interface LayersOptions {
  readonly limit: LimitFactory | undefined;
  readonly signals: readonly LimitSignal[];
  readonly isShared: boolean;
  readonly surroundings: LimitSurroundings;
  readonly onError: (error: unknown) => void;
  /** The limit is another, and no window is over. */
  readonly onChange: (limit: number, reason: string) => void;
}

export interface Layers {
  readonly limit: Limit;
  readonly shared: SharedLimit | undefined;
  readonly braked: BrakedLimit | undefined;
}

/** @throws {EvenkeelError} `invalid-argument` for what is no limit, and for numbers that contradict each other. */
export function layersOf({ isShared, limit, onChange, onError, signals, surroundings }: LayersOptions): Layers {
  if (limit !== undefined && typeof limit !== 'function')
    throw invalidArgument('limit', limit, 'a limit: gradientLimit(), fixedLimit(8), ...');
  const found = checkedLimit(isShared ? quotaOnly(limit) : (limit ?? gradientLimit()), onError)(surroundings);
  const onBrake = (next: number) => onChange(shared?.limitBehind(next) ?? next, braked?.reason ?? '');
  const isBraked = checkSignals(signals).length > 0;
  const braked = isBraked ? new BrakedLimit(found, signals, { ...surroundings, onChange: onBrake }) : undefined;
  const shared = isShared ? new SharedLimit(braked ?? found) : undefined;
  return { limit: shared ?? braked ?? found, shared, braked };
}
