import { expect, it } from 'vitest';
import { OUTPUT_TOKENS, PROMPT_TOKENS, STREAMED_SHARE, scenarioOf } from '../../../demo/parameters.js';
import { percentile, sortNumbers } from '../../../demo/statistics.js';
import { generateWorkload } from '../../../demo/workload/generate.js';

const scenario = scenarioOf({ seed: 7, rate: 100, durationS: 300, timeScale: 50 });
const { arrivals } = generateWorkload(scenario);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

it('gives the same requests for the same seed, and others for another', () => {
  expect(generateWorkload(scenario).arrivals).toEqual(arrivals);
  expect(generateWorkload({ ...scenario, seed: 8 }).arrivals[0]).not.toEqual(arrivals[0]);
});

it('keeps the sizes when the rate changes', () => {
  const faster = generateWorkload({ ...scenario, rate: 200 }).arrivals;
  expect(faster.slice(0, 50).map(({ promptTokens }) => promptTokens)).toEqual(
    arrivals.slice(0, 50).map(({ promptTokens }) => promptTokens),
  );
});

// 30,000 arrivals: three standard errors are about 2 % for counts and means, 3 % for the shares below.
it('arrives as a Poisson process of the rate asked for', () => {
  expect(arrivals.length / 300 / 100).toBeCloseTo(1, 1);
  const gaps = arrivals.slice(1).map(({ atMs }, index) => atMs - (arrivals[index]?.atMs ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0);
  const meanGap = mean(gaps);
  const deviation = Math.sqrt(mean(gaps.map((gap) => (gap - meanGap) ** 2)));
  expect(deviation / meanGap).toBeCloseTo(1, 1);
  expect(arrivals.at(-1)?.atMs).toBeLessThan(scenario.durationMs);
});

it('has the median and the mean of the published trace', () => {
  const prompts = sortNumbers(arrivals.map(({ promptTokens }) => promptTokens));
  const outputs = sortNumbers(arrivals.map(({ outputTokens }) => outputTokens));
  expect(percentile(prompts, 0.5) / PROMPT_TOKENS.median).toBeCloseTo(1, 1);
  expect(mean(prompts) / PROMPT_TOKENS.mean).toBeCloseTo(1, 1);
  expect(percentile(outputs, 0.5) / OUTPUT_TOKENS.median).toBeCloseTo(1, 1);
  // The cut at the longest answer takes some 6 % off the mean.
  expect(mean(outputs) / OUTPUT_TOKENS.mean).toBeGreaterThan(0.9);
  expect(mean(outputs) / OUTPUT_TOKENS.mean).toBeLessThan(1);
  expect(outputs.at(-1)).toBe(OUTPUT_TOKENS.most);
});

it('asks for no fewer tokens than are generated and streams a third of the answers', () => {
  expect(arrivals.every(({ maxTokens, outputTokens }) => maxTokens >= outputTokens)).toBe(true);
  expect(mean(arrivals.map(({ isStreamed }) => Number(isStreamed)))).toBeCloseTo(STREAMED_SHARE, 1);
});
