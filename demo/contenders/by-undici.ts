/** One request through an undici dispatcher, as its docs show it: `request`, a signal for the timeout, the body read to its end. */
import type { Dispatcher } from 'undici';
import { SERVED_BY_HEADER } from '../replica/messages.js';
import type { Arrival } from '../workload/arrival.js';
import { CHAT_PATH, chatBody, readEvents, tokensOf } from './chat-client.js';
import type { Reply } from './contender.js';

const HEADERS = { 'content-type': 'application/json' };

/** `origin` is for the types: the pools compared here know theirs. */
export async function sendByUndici(dispatcher: Dispatcher, origin: string, arrival: Arrival, timeoutMs: number): Promise<Reply> {
  const signal = AbortSignal.timeout(timeoutMs);
  let server: number | undefined;
  try {
    const response = await dispatcher.request({
      origin,
      path: CHAT_PATH,
      method: 'POST',
      headers: HEADERS,
      body: chatBody(arrival),
      signal,
    });
    server = Number(response.headers[SERVED_BY_HEADER]);
    if (response.statusCode !== 200) {
      await response.body.dump();
      return { outcome: 'error', server, tokens: 0, fault: `status ${response.statusCode}` };
    }
    const tokens = arrival.isStreamed
      ? await readEvents(response.body)
      : tokensOf(new Uint8Array(await response.body.arrayBuffer()));
    return { outcome: 'ok', server, tokens: tokens ?? 0 };
  } catch (error) {
    if (signal.aborted) return { outcome: 'timeout', server, tokens: 0, fault: 'timeout' };
    return { outcome: 'error', server, tokens: 0, fault: faultOf(error) };
  }
}

function faultOf(error: unknown): string {
  return error instanceof Error ? ('code' in error && String(error.code)) || error.message : String(error);
}
