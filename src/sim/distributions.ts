/** Chances that a simulation draws from. A distribution is a function of a random stream: the same stream gives the same draws. */
import { checkNumber } from '../core/errors.js';
import type { Random } from '../core/random.js';

/** One draw. */
export type Distribution = (random: Random) => number;

export function constant(value: number): Distribution {
  return () => value;
}

/** Uniform in [from, to). */
export function uniform(from: number, to: number): Distribution {
  checkNumber('to', to, from);
  return (random) => from + (to - from) * random.next();
}

/** Mean `mean`; the time between arrivals of a Poisson process. */
export function exponential(mean: number): Distribution {
  checkNumber('mean', mean, 0);
  return (random) => -mean * Math.log(1 - random.next());
}

/** Log-normal by its own mean and the deviation `sigma` of its logarithm. */
export function logNormal(mean: number, sigma: number): Distribution {
  checkNumber('mean', mean, Number.MIN_VALUE);
  checkNumber('sigma', sigma, 0);
  const mu = Math.log(mean) - (sigma * sigma) / 2;
  return (random) => Math.exp(mu + sigma * standardNormal(random));
}

/** Log-normal by two of its quantiles: the median, and `p99`. */
export function logNormalOf(median: number, p99: number): Distribution {
  checkNumber('median', median, Number.MIN_VALUE);
  checkNumber('p99', p99, median);
  const sigma = Math.log(p99 / median) / NORMAL_P99;
  return (random) => median * Math.exp(sigma * standardNormal(random));
}

/** Pareto with the least value `scale`; the smaller `alpha`, the heavier the tail. Cut at `most`. */
export function pareto(scale: number, alpha: number, most = Number.POSITIVE_INFINITY): Distribution {
  checkNumber('scale', scale, Number.MIN_VALUE);
  checkNumber('alpha', alpha, Number.MIN_VALUE);
  return (random) => Math.min(most, scale / (1 - random.next()) ** (1 / alpha));
}

/** An index from 0 to weights.length - 1, each as often as its weight says. O(log n) a draw. */
export function weighted(weights: readonly number[]): Distribution {
  const sums: number[] = [];
  let total = 0;
  for (const weight of weights) {
    total += checkNumber('weight', weight, 0);
    sums.push(total);
  }
  checkNumber('the sum of weights', total, Number.MIN_VALUE);
  return (random) => {
    const target = random.next() * total;
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) <= target) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Weights of `count` ranks, the first the most frequent: 1 / rank^exponent. */
export function zipfWeights(count: number, exponent: number): number[] {
  return Array.from({ length: count }, (_, rank) => 1 / (rank + 1) ** exponent);
}

const NORMAL_P99 = 2.3263478740408408;

/** Box-Muller; the second of the pair is not kept, so that a draw depends on the stream alone. */
function standardNormal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return radius * Math.cos(2 * Math.PI * random.next());
}
