/** Tokens in flight, not calls: long answers count for what they are, and one tenant cannot take the whole of it. */
import assert from 'node:assert/strict';
import { createLimiter, fixedLimit } from 'evenkeel/limiter';

const partitions = { interactive: 0.5, batch: 0.25 };
await using limiter = createLimiter({ name: 'llm', unit: 'tokens', limit: fixedLimit(8000), partitions });
let most = 0;
const generate = (maxTokens: number, usedTokens: number, partition: string) =>
  limiter.run(
    async (permit) => {
      most = Math.max(most, limiter.weight);
      await new Promise((resolve) => setTimeout(resolve, 1));
      // The prompt is read, and now it is known how long the answer can become.
      permit.reweigh(usedTokens);
      await new Promise((resolve) => setTimeout(resolve, 1));
      return usedTokens;
    },
    { weight: maxTokens, partition, criticality: partition === 'batch' ? 'sheddable-plus' : 'critical' },
  );
const answers = await Promise.allSettled([
  ...Array.from({ length: 12 }, () => generate(2000, 500, 'batch')),
  ...Array.from({ length: 4 }, () => generate(1000, 300, 'interactive')),
]);
assert.ok(most <= 8000 && answers.every(({ status }) => status === 'fulfilled'));
console.log(`${answers.length} answers, never more than 8000 tokens in flight`);
