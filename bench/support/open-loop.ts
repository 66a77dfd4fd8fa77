/** Arrivals that do not wait for answers, as users do not: Poisson, seeded, the same for every contender. */
import { seededRandom } from 'evenkeel/core';

export interface Arrivals {
  /** Per second. */
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
}

/**
 * Calls `send` at each arrival and resolves when all are done.
 * @param send - Told when the arrival was due, by performance.now(), and since the start.
 */
export async function openLoop(arrivals: Arrivals, send: (arrivalMs: number, atMs: number) => Promise<void>): Promise<number> {
  const random = seededRandom(`arrivals ${arrivals.seed}`);
  const pending: Promise<void>[] = [];
  const start = performance.now();
  for (let at = 0; ; ) {
    at += (-Math.log(1 - random.next()) * 1000) / arrivals.rate;
    if (at >= arrivals.seconds * 1000) break;
    const early = start + at - performance.now();
    if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
    pending.push(send(start + at, at));
  }
  await Promise.all(pending);
  return pending.length;
}

/** Evenly spaced arrivals. */
export async function steady(rate: number, seconds: number, send: () => Promise<void>): Promise<void> {
  const pending: Promise<void>[] = [];
  const start = performance.now();
  for (let i = 0; i < rate * seconds; i++) {
    const early = start + (i * 1000) / rate - performance.now();
    if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
    pending.push(send());
  }
  await Promise.all(pending);
}
