/** When a run is well again. */
import type { OverloadResult } from './overload.js';

/** Arrivals are random: goodput is judged over so many windows at once. */
const WINDOWS = 8;

/**
 * Milliseconds from `fromMs` until goodput is back at `share` of `expected`, over two seconds and over all that follows; Infinity: it never is.
 * To the window.
 */
export function recoveryMs(result: OverloadResult, fromMs: number, expected: number, share = 0.95): number {
  const { goodput, windowMs } = result;
  const isWell = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) >= share * expected * values.length;
  const first = Math.ceil(fromMs / windowMs);
  for (let i = first; i + WINDOWS <= goodput.length; i++) {
    if (isWell(goodput.slice(i, i + WINDOWS)) && isWell(goodput.slice(i))) return i * windowMs - fromMs;
  }
  return Number.POSITIVE_INFINITY;
}
