/** How often a random test is repeated: `n` times, ten times as often in the full check (`npm run check -- --full`). */
export function rounds(n: number): number {
  return process.env.EVENKEEL_FULL === '1' ? 10 * n : n;
}
