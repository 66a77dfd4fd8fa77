/** The openai package over two servers: its `fetch` option takes the router's, and nothing else of the program changes. */
import assert from 'node:assert/strict';
import { staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import OpenAI from 'openai';
import * as undici from 'undici';
import { fakeOpenAi } from './support/fake-openai.js';

await using transport = createHttpTransport({ undici });
const listeners = await Promise.all([1, 2].map(() => transport.serve?.({ address: 'http://127.0.0.1:0' }, fakeOpenAi)));
const resolver = staticResolver(listeners.flatMap((listener) => listener?.address ?? []));
await using router = createRouter({ service: 'llm', resolver, transport });
const openai = new OpenAI({ apiKey: 'none', baseURL: 'http://llm/v1', fetch: router.fetch });

const chat = { model: 'm', messages: [{ role: 'user' as const, content: 'How does she lie?' }] };
const { choices } = await openai.chat.completions.create(chat);
let streamed = '';
for await (const event of await openai.chat.completions.create({ ...chat, stream: true })) {
  streamed += event.choices[0]?.delta.content;
}
assert.deepEqual([choices[0]?.message.content, streamed], ['even keel', 'even keel']);
console.log(`whole: '${choices[0]?.message.content}', streamed: '${streamed}', both through the router`);
for (const listener of listeners) await listener?.close();
