/** A downstream says 429: the limiter of that pair goes down, the others stay as they are, and the source of the work slows with it. */
import assert from 'node:assert/strict';
import { EvenkeelError } from 'evenkeel/core';
import { aimdLimit, createLimiters } from 'evenkeel/limiter';

await using limiters = createLimiters({ limit: aimdLimit({ initial: 32, windowMs: 10 }) });
const full = new EvenkeelError('resource-exhausted', 'the database is full', { rejected: true });

const [database, search] = [() => limiters.for('checkout', 'database'), () => limiters.for('checkout', 'search')];
for (let i = 0; i < 50; i++) {
  // Whoever fetches work from a queue asks first, and fetches no more than the downstream takes.
  await database().ready();
  await database()
    .run(() => (i % 2 === 0 ? Promise.reject(full) : Promise.resolve()))
    .catch(() => {});
  await search().run(() => Promise.resolve());
  await new Promise((resolve) => setTimeout(resolve, 2));
}
assert.ok(database().limit < 16 && search().limit === 32);
console.log(`calls at once to the database: below 16, to search: ${search().limit}; why: ${database().explain().last.reason}`);
