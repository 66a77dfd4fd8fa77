/** The workload without a trace: Poisson arrivals, log-normal token counts with the published median and mean. */
import { type Random, seededRandom } from 'evenkeel/core';
import { OUTPUT_TOKENS, PROMPT_TOKENS, type Scenario, type TokenDistribution } from '../parameters.js';
import { type Arrival, toArrival, type Workload } from './arrival.js';

export function generateWorkload({ seed, rate, durationMs }: Scenario): Workload {
  const random = seededRandom(seed);
  // Streams of their own: another rate leaves the sizes as they are.
  const gaps = random.fork('gaps');
  const prompts = random.fork('prompts');
  const outputs = random.fork('outputs');
  const streamed = random.fork('streamed');
  const arrivals: Arrival[] = [];
  for (let atMs = drawGapMs(gaps, rate); atMs < durationMs; atMs += drawGapMs(gaps, rate)) {
    arrivals.push(toArrival(atMs, drawTokens(prompts, PROMPT_TOKENS), drawTokens(outputs, OUTPUT_TOKENS), streamed));
  }
  return {
    arrivals,
    source: `generated (seed ${seed}): Poisson arrivals, log-normal token counts of a public conversation trace`,
  };
}

function drawGapMs(random: Random, rate: number): number {
  return (-Math.log(1 - random.next()) / rate) * 1000;
}

/** For a log-normal, median = exp(mu) and mean / median = exp(sigma^2 / 2). */
export function drawTokens(random: Random, { median, mean, most }: TokenDistribution): number {
  const sigma = Math.sqrt(2 * Math.log(mean / median));
  const tokens = Math.round(median * Math.exp(sigma * drawNormal(random)));
  return Math.min(most, Math.max(1, tokens));
}

/** Box and Muller's transform, one of its two values. */
function drawNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
