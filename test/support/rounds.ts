/**
 * How often a random test is repeated: `n` times, in the full check (`npm run check -- --full`) `full` times; ten times as often when
 * nothing else is said.
 */
export function rounds(n: number, full = 10 * n): number {
  return process.env.EVENKEEL_FULL === '1' ? full : n;
}
