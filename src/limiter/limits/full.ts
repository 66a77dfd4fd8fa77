import type { LimitWindow } from './limit.js';

/** Share of the limit that was in use at some moment, less one call: a whole one may not fit any more. */
const FULL = 0.9;

/** The limit held something back in that window, or nearly did: only then does it say what more would do. Of heavy calls less may fit than is free. */
export function isFull({ limit, mostInFlight, queueMs, refused }: LimitWindow): boolean {
  return mostInFlight >= FULL * limit - 1 || queueMs > 0 || refused > 0;
}

/** Share of the most in flight that was in flight on the mean: full for more than moments. */
export const STEADILY = 0.8;

/** In flight about as much all the time, and not for moments of a random crowd. */
export function isSteadilyFull({ inFlight, mostInFlight }: LimitWindow): boolean {
  return inFlight > STEADILY * mostInFlight;
}
