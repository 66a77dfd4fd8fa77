/**
 * evenkeel's router as it comes: every option that is not needed to say where the servers are is left at its default. A chat request
 * is a POST, so it is not sent twice unless the first server surely did not see it.
 */
import { createRuntime, isEvenkeelError, seededRandom, staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { type CallResponse, createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { SERVED_BY_HEADER } from '../replica/messages.js';
import type { Arrival } from '../workload/arrival.js';
import { CHAT_PATH, chatBody, MODEL, readEvents, tokensOf } from './chat-client.js';
import type { ContenderKind, Reply } from './contender.js';

export const evenkeel: ContenderKind = {
  name: 'evenkeel',
  title: 'evenkeel createRouter',
  about: 'defaults; the weight of a call is its prompt and max_tokens, corrected by usage',
  create({ addresses, timeoutMs, seed }) {
    const transport = createHttpTransport({ undici });
    const router = createRouter({
      service: 'llm',
      resolver: staticResolver([...addresses]),
      transport,
      timeoutMs,
      // For the same choices with the same seed; a service leaves this out.
      runtime: createRuntime({ random: seededRandom(seed) }),
    });
    return {
      send: async (arrival) => {
        let response: CallResponse | undefined;
        try {
          response = await router.call({
            path: CHAT_PATH,
            headers: ['content-type', 'application/json'],
            body: chatBody(arrival),
            model: MODEL,
            weight: arrival.promptTokens + arrival.maxTokens,
            ...(arrival.isStreamed ? { response: 'stream' } : { actualWeight: tokensOf }),
          });
          return await readReply(response, arrival);
        } catch (error) {
          const server = response === undefined ? undefined : serverOf(response);
          if (isEvenkeelError(error, 'deadline-exceeded')) return { outcome: 'timeout', server, tokens: 0, fault: 'timeout' };
          return { outcome: 'error', server, tokens: 0, fault: isEvenkeelError(error) ? error.code : String(error) };
        }
      },
      close: async () => {
        await router.close();
        await transport.close();
      },
    };
  },
};

async function readReply(response: CallResponse, { isStreamed }: Arrival): Promise<Reply> {
  const server = serverOf(response);
  if (!response.ok) {
    response.stream?.cancel();
    return { outcome: 'error', server, tokens: 0, fault: `status ${response.status}` };
  }
  if (!isStreamed || response.stream === undefined) return { outcome: 'ok', server, tokens: tokensOf(response.body) ?? 0 };
  return { outcome: 'ok', server, tokens: await readEvents(response.stream, (tokens) => response.reweigh(tokens)) };
}

function serverOf(response: CallResponse): number | undefined {
  const header = response.header(SERVED_BY_HEADER);
  return header === undefined ? undefined : Number(header);
}
