/** Rates of several ways to do one thing, in turn, so that a machine that drifts drifts for all of them. */

/** Units a second of each side, round by round, in turn forwards and backwards, after a round to warm up. */
export async function interleaved<K extends string>(
  sides: Readonly<Record<K, () => Promise<void>>>,
  rounds: number,
  units: number,
): Promise<Record<K, number[]>> {
  const names = Object.keys(sides) as K[];
  const rates = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (let round = -1; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      const startedAt = performance.now();
      await sides[name]();
      if (round >= 0) rates[name].push((units * 1000) / (performance.now() - startedAt));
    }
  }
  return rates;
}
