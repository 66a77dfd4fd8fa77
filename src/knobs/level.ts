/**
 * How much work a product does without. Level 4 is normal; 3, 2 and 1 rise in severity and are cumulative: at level 2 the knobs of level 3
 * are on as well. Levels rank what users feel, not what is saved.
 *
 * | level | for | to save |
 * |---|---|---|
 * | 4 | every day | |
 * | 3 | a spike: a holiday, a launch | 5 % of a product's demand |
 * | 2 | the loss of a region | 10 % |
 * | 1 | an emergency | 20 % |
 * @see Meza et al., "Defcon: Preventing Overload with Graceful Feature Degradation", OSDI'23
 */
import { invalidArgument } from '../core/errors.js';

/** In force for a scope. */
export type Level = 1 | 2 | 3 | 4;
/** Of a knob: on from this level downwards. */
export type KnobLevel = 1 | 2 | 3;

export const NORMAL_LEVEL = 4;

export function isLevel(value: unknown): value is Level {
  return value === 1 || value === 2 || value === 3 || value === 4;
}

/** @throws {EvenkeelError} `invalid-argument`. */
export function checkKnobLevel(what: string, value: unknown): KnobLevel {
  if (isLevel(value) && value !== NORMAL_LEVEL) return value;
  throw invalidArgument(what, value, '1, 2 or 3');
}
