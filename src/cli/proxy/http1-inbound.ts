/** An exchange over HTTP/1.0 or 1.1. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../core/clock.js';
import { drained } from '../../core/internal/drained.js';
import { without } from './end-to-end.js';
import { type Inbound, LINGER_MS, pairsOf, parseLength } from './inbound.js';

const LENGTH = new Set(['content-length']);
const TRAILER = new Set(['trailer']);

export class Http1Inbound implements Inbound {
  readonly version: string;
  readonly method: string;
  readonly rawTarget: string;
  readonly hostHeader: string;
  readonly headers: readonly string[];
  readonly hasBody: boolean;
  readonly contentLength: number | undefined;
  readonly body: IncomingMessage;
  isOver = false;
  onOver: ((isWhole: boolean) => void) | undefined;
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  readonly #isDraining: () => boolean;
  readonly #waitsForContinue: boolean;
  #hasTrailers = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    clock: Clock,
    isDraining: () => boolean,
    waitsForContinue: boolean,
  ) {
    this.version = request.httpVersion;
    this.method = request.method ?? 'GET';
    this.rawTarget = request.url ?? '/';
    this.hostHeader = request.headers.host ?? '';
    this.headers = request.rawHeaders;
    this.contentLength = parseLength(request.headers['content-length']);
    this.hasBody = request.headers['transfer-encoding'] !== undefined || (this.contentLength ?? 0) > 0;
    this.body = request;
    this.#response = response;
    this.#clock = clock;
    this.#isDraining = isDraining;
    this.#waitsForContinue = waitsForContinue;
    // A write to a response whose caller has left is an error that says nothing new.
    response.on('error', () => {});
    response.once('close', () => this.over());
  }

  get remoteAddress(): string | undefined {
    return this.body.socket.remoteAddress;
  }

  /** The head of the answer has been written. */
  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  /** The whole answer has been written, and perhaps not sent yet. */
  get isWritten(): boolean {
    return this.#response.writableEnded;
  }

  get hasUnsent(): boolean {
    return this.#response.writableLength > 0 || this.body.socket.writableLength > 0;
  }

  /** node:http destroys a request that was broken off, so its end is its end. */
  isBodyWhole(): Promise<boolean> {
    return Promise.resolve(this.body.complete);
  }

  continue(): void {
    if (this.#waitsForContinue) this.#response.writeContinue();
  }

  respond(status: number, headers: string[]): void {
    const { method, version } = this;
    const isChunked =
      version !== '1.0' && method !== 'HEAD' && status !== 204 && status !== 304 && !has(headers, 'content-length');
    this.#hasTrailers = isChunked;
    let sent = headers;
    // RFC 9112, section 6.3: there is none, whatever the server said.
    if (status === 204) sent = without(sent, LENGTH);
    if (!isChunked) sent = without(sent, TRAILER);
    // Whoever kept the connection would send its next request into a proxy that leaves.
    if (this.#isDraining()) sent.push('connection', 'close');
    this.#response.writeHead(status, sent);
  }

  flush(): void {
    this.#response.flushHeaders();
  }

  write(chunk: Uint8Array | string): boolean {
    return this.#response.write(chunk);
  }

  writable(): Promise<void> {
    return this.isOver ? Promise.resolve() : drained(this.#response);
  }

  end(trailers: readonly string[]): void {
    if (trailers.length > 0 && this.#hasTrailers) this.#response.addTrailers([...pairsOf(trailers)]);
    this.#response.end();
    if (!this.body.complete) this.#linger();
  }

  reset(): void {
    this.#response.destroy();
  }

  /** Of the response, or of its connection: a response to a request that was sent ahead never closes. Idempotent. */
  over(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onOver?.(this.#response.writableFinished);
  }

  /** What is left of the request stands before the next one. A caller that goes on sending loses the connection. */
  #linger(): void {
    const { body } = this;
    body.resume();
    const timer = this.#clock.timer(LINGER_MS, () => body.complete || body.socket.destroy());
    body.once('close', () => timer.cancel());
  }
}

function has(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if ((headers[i] as string).toLowerCase() === name) return true;
  return false;
}
