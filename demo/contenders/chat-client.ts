/** The client's half of the chat protocol, shared by all contenders, so that they differ in nothing but where they send. */
import { CHARACTERS_PER_TOKEN } from '../replica/chat.js';
import type { Arrival } from '../workload/arrival.js';

export const CHAT_PATH = '/v1/chat/completions';
export const MODEL = 'llama-2-70b';

const PROMPT_TEXT = 'Tell me of a ship that does not roll. ';

export function chatBody({ promptTokens, outputTokens, maxTokens, isStreamed }: Arrival): string {
  return JSON.stringify({
    model: MODEL,
    messages: [{ role: 'user', content: textOf(promptTokens * CHARACTERS_PER_TOKEN) }],
    max_tokens: maxTokens,
    metadata: { output_tokens: String(outputTokens) },
    ...(isStreamed ? { stream: true, stream_options: { include_usage: true } } : {}),
  });
}

function textOf(characters: number): string {
  return PROMPT_TEXT.repeat(Math.ceil(characters / PROMPT_TEXT.length)).slice(0, characters);
}

/** `usage.total_tokens` of a whole answer; undefined when it has none. */
export function tokensOf(body: Uint8Array): number | undefined {
  return totalTokens(JSON.parse(new TextDecoder().decode(body)));
}

/**
 * Reads server-sent events to `[DONE]`.
 * @param onUsage - Told the tokens as soon as the event with `usage` is there.
 * @returns The same. Throws when the stream ends without `[DONE]`: an answer cut short is no answer.
 */
export async function readEvents(stream: AsyncIterable<Uint8Array>, onUsage?: (tokens: number) => void): Promise<number> {
  const decoder = new TextDecoder();
  let rest = '';
  let tokens = 0;
  let isDone = false;
  for await (const chunk of stream) {
    const events = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      if (event === 'data: [DONE]') isDone = true;
      else if (event.includes('"usage"')) {
        tokens = totalTokens(JSON.parse(event.slice('data: '.length))) ?? tokens;
        onUsage?.(tokens);
      }
    }
  }
  if (!isDone) throw new Error('the stream ended before [DONE]');
  return tokens;
}

function totalTokens(answer: unknown): number | undefined {
  const { usage } = answer as { usage?: { total_tokens?: unknown } };
  return typeof usage?.total_tokens === 'number' ? usage.total_tokens : undefined;
}
