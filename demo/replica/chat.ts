/** OpenAI's chat completions over a ServiceModel: as much of the protocol as a client of the demo, or curl, meets. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServedCall } from 'evenkeel/router';
import type { Job, ServiceModel } from './service-model.js';

/** Four characters a token, the usual rule of thumb. */
export const CHARACTERS_PER_TOKEN = 4;
const TOKEN_TEXT = 'tok ';
/** A prompt of some 2 million tokens. */
const MOST_BODY_BYTES = 8 * 1024 * 1024;
const DEFAULT_MAX_TOKENS = 128;

export interface ChatRequest {
  readonly model: string;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly isStreamed: boolean;
}

/** Undefined: not a chat request. */
export function parseChatRequest(text: string): ChatRequest | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { model, messages, max_tokens: maxTokens = DEFAULT_MAX_TOKENS, stream, metadata } = asRecord(body);
  if (typeof model !== 'string' || !Array.isArray(messages) || !isCount(maxTokens)) return undefined;
  const characters = messages.reduce((sum: number, message) => sum + String(asRecord(message).content ?? '').length, 0);
  // A real model decides itself when it has said enough; here the workload tells it.
  const said = Number(asRecord(metadata).output_tokens ?? maxTokens);
  return {
    model,
    promptTokens: Math.max(1, Math.ceil(characters / CHARACTERS_PER_TOKEN)),
    outputTokens: isCount(said) ? Math.min(said, maxTokens) : maxTokens,
    isStreamed: stream === true,
  };
}

const asRecord = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 1;

export async function serveChat(
  model: ServiceModel,
  call: ServedCall,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const text = await readBody(incoming);
  const request = text === undefined ? undefined : parseChatRequest(text);
  if (request === undefined) {
    sendError(response, text === undefined ? 413 : 400, 'invalid_request_error', 'not a chat completion request');
    return;
  }
  if (response.destroyed) return;
  call.model(request.model);
  let job: Job | undefined;
  // A client that gave up frees its slot, as in vLLM.
  response.on('close', () => job?.cancel());
  job = model.submit(request.isStreamed ? streamed(request, response) : buffered(request, response));
  if (job === undefined) sendError(response, 503, 'overloaded_error', 'all slots and all places in the queue are taken');
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  if (response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
}

function sendError(response: ServerResponse, status: number, type: string, message: string): void {
  sendJson(response, status, { error: { type, message } });
}

function buffered(request: ChatRequest, response: ServerResponse) {
  const { outputTokens } = request;
  return {
    ...request,
    onTokens: () => {},
    onDone: () => {
      const message = { role: 'assistant', content: TOKEN_TEXT.repeat(outputTokens) };
      const choices = [{ index: 0, message, finish_reason: 'stop' }];
      sendJson(response, 200, { ...head(request, 'chat.completion'), choices, usage: usageOf(request) });
    },
  };
}

function streamed(request: ChatRequest, response: ServerResponse) {
  const send = (fields: object) => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.write(`data: ${JSON.stringify({ ...head(request, 'chat.completion.chunk'), ...fields })}\n\n`);
  };
  const choice = (delta: object, reason: string | null) => ({ choices: [{ index: 0, delta, finish_reason: reason }] });
  return {
    ...request,
    onTokens: (tokens: number) => send(choice({ content: TOKEN_TEXT.repeat(tokens) }, null)),
    onDone: () => {
      send(choice({}, 'stop'));
      send({ choices: [], usage: usageOf(request) });
      response.end('data: [DONE]\n\n');
    },
  };
}

function head({ model }: ChatRequest, object: string) {
  return { id: 'chatcmpl-demo', object, created: 0, model };
}

function usageOf({ promptTokens, outputTokens }: ChatRequest) {
  return { prompt_tokens: promptTokens, completion_tokens: outputTokens, total_tokens: promptTokens + outputTokens };
}

/** Undefined: too large, or the client left. */
async function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > MOST_BODY_BYTES) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString();
}
