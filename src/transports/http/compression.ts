/**
 * Compression of calls, for both ends of them.
 *
 * When does it pay? When a byte on the wire costs more than a byte through the coder: across regions and on paid links nearly always above
 * some kilobytes, inside a rack nearly never. The latency tax tells what it costs (`cpuUs.compression`); it was the largest part of the
 * cycle tax of the paper's fleet. Hence off until asked for.
 * @see Seemakhupt et al., "A Cloud-Scale Characterization of Remote Procedure Calls", SOSP'23, section 4
 */
import { pipeline, Readable } from 'node:stream';
import { type Clock, liveClock } from '../../core/clock.js';
import { checkInteger, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { HEADERS, type HeaderList, headerName, headerValue } from '../../core/headers.js';
import type {
  CallAnswer,
  CallBody,
  CallCompression,
  CallHandler,
  CallRequest,
  CallTransport,
} from '../../core/transport/call.js';
import { CODECS, type Codec, type ContentEncoding } from './codecs.js';
import { DecodingSink } from './decoding-sink.js';

export interface CompressionOptions {
  /** What may be asked for and used, best first. Default: `zstd` where this Node has it, `br`, `gzip`. */
  encodings?: readonly ContentEncoding[];
  /** Bodies below it are sent as they are. Default 4096 bytes: less saves no more than two packets. */
  minBytes?: number;
  /** Compresses requests, too: only for servers that are known to take it (those of `answers` do). Default `false`. */
  requests?: ContentEncoding | false;
  /** Largest request that `answers` decodes, in bytes of the decoded body. Default 64 MiB. */
  maxDecodedBytes?: number;
  /** Default: the process's. */
  clock?: Clock;
}

export const DEFAULT_MIN_COMPRESSED_BYTES = 4096;
export const DEFAULT_MAX_DECODED_BYTES = 64 * 1024 * 1024;
/** Up to here a body is coded on the caller's thread, in half a millisecond or so: a way to the thread pool and back costs as much. */
const MAX_NOW_BYTES = 32 * 1024;

export interface Compression extends CallCompression {
  /** For a server: decodes requests, and compresses whole answers for callers that accept it. Streams go as they are: each piece counts at once. */
  answers(handler: CallHandler): CallHandler;
}

/**
 * @throws {EvenkeelError} `invalid-argument` for an encoding that this Node does not have.
 * @example
 * ```ts
 * import { staticResolver } from 'evenkeel/core';
 * import { createCompression, createHttpTransport } from 'evenkeel/http';
 * import { createRouter } from 'evenkeel/router';
 * import * as undici from 'undici';
 *
 * const router = createRouter({
 *   service: 'far-away',
 *   resolver: staticResolver(['http://10.0.0.1:8000']),
 *   transport: createHttpTransport({ undici }),
 *   compression: createCompression({ encodings: ['gzip'] }),
 * });
 * ```
 */
export function createCompression(options: CompressionOptions = {}): Compression {
  return new CodedCalls(options);
}

class CodedCalls implements Compression {
  readonly #codecs: ReadonlyMap<string, Codec>;
  readonly #accept: string;
  readonly #accepted: ReadonlySet<string>;
  readonly #minBytes: number;
  readonly #maxDecodedBytes: number;
  readonly #requests: Codec | undefined;
  readonly #now: () => number;

  constructor(options: CompressionOptions) {
    const wanted = options.encodings ?? (['zstd', 'br', 'gzip'] as const).filter((encoding) => CODECS.has(encoding));
    this.#codecs = new Map(wanted.map((encoding) => [encoding, codecOf('encodings', encoding)]));
    if (this.#codecs.size === 0) throw invalidArgument('encodings', wanted, 'at least one');
    this.#accepted = new Set(this.#codecs.keys());
    this.#accept = [...this.#accepted].join(', ');
    this.#minBytes = checkInteger('minBytes', options.minBytes ?? DEFAULT_MIN_COMPRESSED_BYTES, 0);
    this.#maxDecodedBytes = checkInteger('maxDecodedBytes', options.maxDecodedBytes ?? DEFAULT_MAX_DECODED_BYTES, 1);
    this.#requests = options.requests ? codecOf('requests', options.requests) : undefined;
    const clock = options.clock ?? liveClock();
    this.#now = () => clock.now();
  }

  wrap(transport: CallTransport, onTime?: (ms: number) => void): CallTransport {
    return {
      start: (to, request, sink) => {
        const { headers = [] } = request;
        // Who asks for a coding wants the bytes as they are.
        if (!Array.isArray(headers) || headerValue(headers, HEADERS.acceptEncoding) !== undefined) {
          return transport.start(to, request, sink);
        }
        const decoding = new DecodingSink(sink, this.#accepted, this.#now, onTime);
        const coded = this.#code(request, [...headers, HEADERS.acceptEncoding.text, this.#accept], onTime);
        return decoding.attach(transport.start(to, coded, decoding));
      },
      serve: transport.serve?.bind(transport),
      forget: (to) => transport.forget(to),
      drain: () => transport.drain(),
      close: () => transport.close(),
    };
  }

  answers(handler: CallHandler): CallHandler {
    return async (call) => {
      const encoding = headerValue(call.headers, HEADERS.contentEncoding)?.trim().toLowerCase();
      const codec = encoding === undefined ? undefined : this.#codecs.get(encoding);
      const decoded =
        codec === undefined
          ? call
          : { ...call, body: this.#decode(call.body, codec), headers: without(call.headers, HEADERS.contentEncoding.text) };
      return this.#answer(await handler(decoded), call.headers);
    };
  }

  #code(request: CallRequest, headers: string[], onTime?: (ms: number) => void): CallRequest {
    const { body } = request;
    const codec = this.#requests;
    const isCoded = headerValue(headers, HEADERS.contentEncoding) !== undefined;
    if (codec === undefined || body === undefined || isCoded) return { ...request, headers };
    if (isWhole(body) && Buffer.byteLength(body) < this.#minBytes) return { ...request, headers };
    headers.push(HEADERS.contentEncoding.text, codec.encoding);
    const kept = without(headers, HEADERS.contentLength.text) as string[];
    // The transport checks what is no body at all.
    if (!isWhole(body) && typeof (body as AsyncIterable<unknown>)?.[Symbol.asyncIterator] !== 'function') return request;
    const from = this.#now();
    const coded =
      isWhole(body) && Buffer.byteLength(body) <= MAX_NOW_BYTES ? codec.compressNow(Buffer.from(body)) : streamed(body, codec);
    onTime?.(this.#now() - from);
    return { ...request, method: request.method ?? 'POST', headers: kept, body: coded };
  }

  async *#decode(body: AsyncIterable<Uint8Array>, codec: Codec): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of through(body, codec.decompressor())) {
      bytes += chunk.length;
      if (bytes > this.#maxDecodedBytes) {
        throw new EvenkeelError('out-of-range', `the request has more than ${this.#maxDecodedBytes} bytes once decoded`);
      }
      yield chunk;
    }
  }

  #answer(answer: CallAnswer, asked: HeaderList): CallAnswer {
    const { body, headers = [] } = answer;
    if (body === undefined || !isWhole(body) || Buffer.byteLength(body) < this.#minBytes) return answer;
    if (headerValue(headers, HEADERS.contentEncoding) !== undefined || isPacked(headerValue(headers, CONTENT_TYPE)))
      return answer;
    const vary = [...headers, 'vary', HEADERS.acceptEncoding.text];
    const codec = this.#acceptable(headerValue(asked, HEADERS.acceptEncoding));
    if (codec === undefined) return { ...answer, headers: vary };
    const coded = Buffer.byteLength(body) <= MAX_NOW_BYTES ? codec.compressNow(Buffer.from(body)) : streamed(body, codec);
    const kept = without(vary, HEADERS.contentLength.text) as string[];
    return { ...answer, headers: [...kept, HEADERS.contentEncoding.text, codec.encoding], body: coded };
  }

  /** Our best of what the caller takes. */
  #acceptable(accept: string | undefined): Codec | undefined {
    if (accept === undefined) return undefined;
    const taken = new Set<string>();
    for (const item of accept.toLowerCase().split(',')) {
      const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
      if (!parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) taken.add(name);
    }
    for (const [encoding, codec] of this.#codecs) if (taken.has(encoding)) return codec;
    return undefined;
  }
}

const CONTENT_TYPE = headerName('content-type');

/** Bytes that are compressed by nature. */
function isPacked(type: string | undefined): boolean {
  return type !== undefined && /^(image\/(?!svg)|audio\/|video\/|application\/(zip|gzip|zstd|grpc))/.test(type);
}

function codecOf(option: string, encoding: string): Codec {
  const codec = CODECS.get(encoding as ContentEncoding);
  if (codec === undefined) throw invalidArgument(option, encoding, `one of ${[...CODECS.keys()].join(', ')} on this Node`);
  return codec;
}

function streamed(body: CallBody, codec: Codec): AsyncIterable<Uint8Array> {
  const pieces = isWhole(body) ? [Buffer.from(body)] : body;
  // Begun when it is pulled: a stream that is never read must be left alone.
  return {
    [Symbol.asyncIterator]: () => through(pieces, codec.compressor())[Symbol.asyncIterator](),
  };
}

/** Ends its source when it is left early, and fails as its source does. */
function through(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array | string>,
  transform: NodeJS.ReadWriteStream,
): AsyncIterable<Uint8Array> {
  return pipeline(Readable.from(pieces, { objectMode: false }), transform, () => {}) as unknown as AsyncIterable<Uint8Array>;
}

function without(headers: HeaderList, name: string): HeaderList {
  const unwanted = headerName(name);
  const kept: (string | Uint8Array)[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const one = headers.slice(i, i + 2);
    if (headerValue(one, unwanted) === undefined) kept.push(...one);
  }
  return kept;
}

function isWhole(body: CallBody): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array;
}
