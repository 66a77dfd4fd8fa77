/**
 * The cost of A relative to B, on machines that are shared and drift: short blocks in the order A B B A within one process, CPU time of
 * all threads, the ratio pair by pair. What disturbs one block of a pair mostly disturbs the other; the median forgets the rest.
 */
export interface Side {
  readonly name: string;
  /** Runs one block of work. */
  run(): Promise<void>;
}

export interface PairedRatio {
  /** Median of the paired ratios A / B. */
  readonly median: number;
  /** 95 % interval of that median, by order statistics: no assumption about the distribution. */
  readonly low: number;
  readonly high: number;
  readonly pairs: number;
  /** CPU microseconds a block, medians. For information: absolute figures are the machine's. */
  readonly aMicros: number;
  readonly bMicros: number;
}

export async function pairedRatio(a: Side, b: Side, options: { pairs: number; warmUps: number }): Promise<PairedRatio> {
  for (let i = 0; i < options.warmUps; i++) {
    await a.run();
    await b.run();
  }
  const ratios: number[] = [];
  const costsA: number[] = [];
  const costsB: number[] = [];
  for (let pair = 0; pair < options.pairs; pair++) {
    const aFirst = pair % 2 === 0;
    const first = await cpuOf(aFirst ? a : b);
    const second = await cpuOf(aFirst ? b : a);
    const [costA, costB] = aFirst ? [first, second] : [second, first];
    ratios.push(costA / costB);
    costsA.push(costA);
    costsB.push(costB);
  }
  return { ...medianInterval(ratios), pairs: options.pairs, aMicros: median(costsA), bMicros: median(costsB) };
}

async function cpuOf(side: Side): Promise<number> {
  const before = process.cpuUsage();
  await side.run();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Coefficient of variation: standard deviation over mean. */
export function variation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) / mean;
}

export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((x, y) => x - y);
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

/** The median lies between the order statistics n/2 -+ 1.96 sqrt(n)/2 in 95 % of cases (binomial). */
export function medianInterval(values: readonly number[]): { median: number; low: number; high: number } {
  const sorted = [...values].sort((x, y) => x - y);
  const reach = (1.96 * Math.sqrt(sorted.length)) / 2;
  const low = sorted[Math.max(0, Math.floor(sorted.length / 2 - reach))] as number;
  const high = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + reach))] as number;
  return { median: median(sorted), low, high };
}
