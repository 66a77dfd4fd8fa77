import { virtualClock } from 'evenkeel/testing';
import { expect, it } from 'vitest';
import { parseChatRequest } from '../../../demo/replica/chat.js';
import { ServiceModel } from '../../../demo/replica/service-model.js';

const FIGURES = { slots: 2, queuePlaces: 3, prefillMsPerToken: 0.1, decodeMsPerToken: 2 };

function setUp() {
  const clock = virtualClock();
  const model = new ServiceModel(clock, FIGURES);
  const done: [string, number][] = [];
  const tokens: number[] = [];
  const submit = (name: string, promptTokens = 100, outputTokens = 20) =>
    model.submit({
      promptTokens,
      outputTokens,
      onTokens: (count) => tokens.push(count),
      onDone: () => done.push([name, clock.now()]),
    });
  return { clock, model, done, tokens, submit };
}

it('takes time for each token of the prompt and of the answer', async () => {
  const { clock, done, tokens, submit } = setUp();
  submit('a', 100, 20);
  submit('b', 200, 40);
  await clock.advance(1000);
  // 100 x 0.1 + 20 x 2, and 200 x 0.1 + 40 x 2.
  expect(done).toEqual([
    ['a', 50],
    ['b', 100],
  ]);
  expect(tokens.reduce((sum, count) => sum + count)).toBe(60);
});

it('works on as many requests as it has slots; the others wait in order', async () => {
  const { clock, model, done, submit } = setUp();
  for (const name of ['a', 'b', 'c', 'd']) submit(name);
  expect([model.running, model.waiting]).toEqual([2, 2]);
  await clock.advance(100);
  expect(done).toEqual([
    ['a', 50],
    ['b', 50],
    ['c', 100],
    ['d', 100],
  ]);
  expect([model.running, model.waiting]).toEqual([0, 0]);
});

it('takes no more when slots and queue are full', () => {
  const { model, submit } = setUp();
  const jobs = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => submit(name));
  expect(jobs.map((job) => job !== undefined)).toEqual([true, true, true, true, true, false]);
  expect(model.waiting).toBe(3);
});

it('gives the slot of a client that left to the next, and the place of one that waited', async () => {
  const { clock, model, done, submit } = setUp();
  const [a, , c] = ['a', 'b', 'c', 'd'].map((name) => submit(name));
  c?.cancel();
  await clock.advance(10);
  a?.cancel();
  a?.cancel();
  expect([model.running, model.waiting]).toEqual([2, 0]);
  await clock.advance(1000);
  expect(done).toEqual([
    ['b', 50],
    ['d', 60],
  ]);
  expect(model.running).toBe(0);
  expect(clock.pending).toBe(0);
});

it('turns slower in the middle of a request', async () => {
  const { clock, model, done, submit } = setUp();
  submit('a', 100, 32);
  // The prompt (10 ms) is read, the first 16 tokens (32 ms) are under way; the second 16 take 6 times as long.
  await clock.advance(20);
  model.slowdown = 6;
  await clock.advance(1000);
  expect(done).toEqual([['a', 10 + 32 + 192]]);
});

it('reads a chat request: tokens by length, no more output than asked for', () => {
  const body = { model: 'm', messages: [{ role: 'user', content: 'x'.repeat(10) }], max_tokens: 50, stream: true };
  expect(parseChatRequest(JSON.stringify(body))).toEqual({ model: 'm', promptTokens: 3, outputTokens: 50, isStreamed: true });
  const told = { ...body, metadata: { output_tokens: '20' } };
  expect(parseChatRequest(JSON.stringify(told))?.outputTokens).toBe(20);
  expect(parseChatRequest(JSON.stringify({ ...told, max_tokens: 5 }))?.outputTokens).toBe(5);
});

it.each(['', '{', 'null', '[]', '{"model":"m"}', '{"model":1,"messages":[]}', '{"model":"m","messages":[],"max_tokens":-1}'])(
  'turns %j away',
  (text) => {
    expect(parseChatRequest(text)).toBeUndefined();
  },
);
