/** The openai package over two servers: its `fetch` option takes the router's, and nothing else of the program changes. */
import assert from 'node:assert/strict';
import { type CallHandler, staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import OpenAI from 'openai';
import * as undici from 'undici';

/** Speaks as much of the chat API as is used below. */
const model: CallHandler = async ({ body }) => {
  let request = '';
  for await (const chunk of body) request += Buffer.from(chunk).toString();
  return request.includes('"stream":true')
    ? { status: 200, headers: ['content-type', 'text/event-stream'], body: events() }
    : { status: 200, headers: ['content-type', 'application/json'], body: '{"choices":[{"message":{"content":"even keel"}}]}' };
};
async function* events() {
  for (const word of ['even', ' keel']) yield `data: {"choices":[{"delta":{"content":"${word}"}}]}\n\n`;
  yield 'data: [DONE]\n\n';
}

await using transport = createHttpTransport({ undici });
const listeners = await Promise.all([1, 2].map(() => transport.serve?.({ address: 'http://127.0.0.1:0' }, model)));
const resolver = staticResolver(listeners.flatMap((listener) => listener?.address ?? []));
await using router = createRouter({ service: 'llm', resolver, transport });
const openai = new OpenAI({ apiKey: 'none', baseURL: 'http://llm/v1', fetch: router.fetch });

const chat = { model: 'm', messages: [{ role: 'user' as const, content: 'How does she lie?' }] };
const { choices } = await openai.chat.completions.create(chat);
assert.equal(choices[0]?.message.content, 'even keel');
let streamed = '';
for await (const event of await openai.chat.completions.create({ ...chat, stream: true })) {
  streamed += event.choices[0]?.delta.content;
}
assert.equal(streamed, 'even keel');
assert.equal(router.snapshot().calls.ok, 2);
console.log(`whole: '${choices[0]?.message.content}', streamed: '${streamed}', both through the router`);
for (const listener of listeners) await listener?.close();
