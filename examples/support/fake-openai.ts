/** A server that speaks as much of OpenAI's chat API as the example uses. */
import type { CallHandler } from 'evenkeel/core';

export const fakeOpenAi: CallHandler = async ({ body }) => {
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
