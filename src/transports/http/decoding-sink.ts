/**
 * Decodes a compressed response between the wire and its sink. Bytes come out as fast as the sink takes them and no faster: of a small body
 * that unpacks into a huge one no more is unpacked than the sink asks for, and it may cancel at any byte.
 */
import type { Transform } from 'node:stream';
import { EvenkeelError } from '../../core/errors.js';
import { HEADERS, type HeaderList, headerName, headerValue } from '../../core/headers.js';
import type { CallHandle, CallSink } from '../../core/transport/call.js';
import { CODECS, type ContentEncoding } from './codecs.js';

export class DecodingSink implements CallSink, CallHandle {
  readonly #sink: CallSink;
  readonly #accepted: ReadonlySet<string>;
  readonly #onTime: ((ms: number) => void) | undefined;
  readonly #now: () => number;
  #handle: CallHandle | undefined;
  #decoder: Transform | undefined;
  #trailers: HeaderList | undefined;
  #hasBytes = false;
  #isOver = false;
  #isPaused = false;
  /** Present only where the inner sink listens, for a transport calls what it finds. */
  declare onPhase?: CallSink['onPhase'];

  constructor(sink: CallSink, accepted: ReadonlySet<string>, now: () => number, onTime: ((ms: number) => void) | undefined) {
    this.#sink = sink;
    this.#accepted = accepted;
    this.#now = now;
    this.#onTime = onTime;
    if (sink.onPhase !== undefined) this.onPhase = (phase, atMs) => sink.onPhase?.(phase, atMs);
  }

  attach(handle: CallHandle): this {
    this.#handle = handle;
    return this;
  }

  // The transport's side.

  onResponse(status: number, headers: HeaderList): void {
    const encoding = headerValue(headers, HEADERS.contentEncoding)?.trim().toLowerCase();
    const known = encoding === 'x-gzip' ? 'gzip' : encoding;
    if (known === undefined || !this.#accepted.has(known)) {
      this.#sink.onResponse(status, headers);
      return;
    }
    this.#decoder = this.#start(CODECS.get(known as ContentEncoding)?.decompressor() as Transform);
    this.#sink.onResponse(status, withoutCoding(headers));
  }

  onData(chunk: Uint8Array): void {
    if (this.#isOver) return;
    const decoder = this.#decoder;
    if (decoder === undefined) {
      this.#sink.onData(chunk);
      return;
    }
    this.#hasBytes = true;
    const from = this.#now();
    if (!decoder.write(chunk)) this.#handle?.pause();
    this.#onTime?.(this.#now() - from);
  }

  onEnd(trailers?: HeaderList): void {
    if (this.#isOver) return;
    // The answer to a HEAD has the coding and no body.
    if (this.#decoder === undefined || !this.#hasBytes) {
      this.#finish();
      this.#sink.onEnd(trailers);
      return;
    }
    this.#trailers = trailers;
    this.#decoder.end();
  }

  onError(error: EvenkeelError): void {
    if (this.#isOver) return;
    this.#finish();
    this.#sink.onError(error);
  }

  // The sink's side.

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    if (this.#isOver) return;
    this.#handle?.cancel(code);
    // The transport's part may be over while the decoder still has some.
    this.onError(new EvenkeelError(code, 'the call was ended while its response was decoded', { retryable: 'unknown' }));
  }

  pause(): void {
    this.#isPaused = true;
    if (this.#decoder === undefined) this.#handle?.pause();
    else this.#decoder.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#decoder === undefined) this.#handle?.resume();
    else this.#decoder.resume();
  }

  #start(decoder: Transform): Transform {
    decoder.on('data', (chunk: Uint8Array) => {
      if (!this.#isOver) this.#tell(chunk);
      // A sink that has enough stops the decoder within the chunk.
      if (this.#isPaused) decoder.pause();
    });
    decoder.on('drain', () => this.#handle?.resume());
    decoder.on('end', () => {
      if (this.#isOver) return;
      this.#finish();
      this.#sink.onEnd(this.#trailers);
    });
    decoder.on('error', (cause) => {
      this.#fail(new EvenkeelError('data-loss', `the response cannot be decoded: ${cause.message}`, { cause }));
    });
    if (this.#isPaused) decoder.pause();
    return decoder;
  }

  /** Nobody stands above a stream's event who could hear of a throw. */
  #tell(chunk: Uint8Array): void {
    try {
      this.#sink.onData(chunk);
    } catch (cause) {
      this.#fail(new EvenkeelError('internal', 'the sink of the call threw', { cause }));
    }
  }

  #fail(error: EvenkeelError): void {
    if (this.#isOver) return;
    this.#finish();
    this.#handle?.cancel('cancelled');
    this.#sink.onError(error);
  }

  #finish(): void {
    this.#isOver = true;
    this.#decoder?.destroy();
  }
}

const DIGEST = headerName('digest');

/** What told of the compressed form holds no longer. */
function withoutCoding(headers: HeaderList): HeaderList {
  const kept: (string | Uint8Array)[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const one = headers.slice(i, i + 2);
    const isGone = [HEADERS.contentEncoding, HEADERS.contentLength, DIGEST].some((name) => headerValue(one, name) !== undefined);
    if (!isGone) kept.push(...one);
  }
  return kept;
}
