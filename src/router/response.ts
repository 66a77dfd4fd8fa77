/**
 * What a call resolves to. Headers and trailers stay as they came off the wire until they are asked for.
 *
 * When is the call over? With a buffered body: before the promise resolves. With a stream: when the stream has ended, failed, or
 * was cancelled; until then the call counts as in flight and its deadline holds.
 */
import { checkNumber } from '../core/errors.js';
import { type HeaderList, headerEntries, headerName, headerValue } from '../core/headers.js';
import type { BodyStream } from './body-stream.js';

export class CallResponse {
  readonly status: number;
  /** Flat, undecoded: name, value, name, value. */
  readonly rawHeaders: HeaderList;
  /** Id of the endpoint that answered. */
  readonly endpoint: string;
  /** Attempts made, this one included. */
  readonly attempts: number;
  /** The whole body; empty when it streams. */
  readonly body: Uint8Array;
  /** The body as it arrives; undefined when it was buffered. */
  readonly stream: BodyStream | undefined;
  readonly #trailers: HeaderList | undefined;
  readonly #work: { setWeight(weight: number): void } | undefined;

  constructor(
    status: number,
    rawHeaders: HeaderList,
    endpoint: string,
    attempts: number,
    body: Uint8Array,
    stream: BodyStream | undefined,
    trailers: HeaderList | undefined,
    work: { setWeight(weight: number): void } | undefined,
  ) {
    this.status = status;
    this.rawHeaders = rawHeaders;
    this.endpoint = endpoint;
    this.attempts = attempts;
    this.body = body;
    this.stream = stream;
    this.#trailers = trailers;
    this.#work = work;
  }

  /** True for 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** The first header of that name, in any case. */
  header(name: string): string | undefined {
    return headerValue(this.rawHeaders, headerName(name));
  }

  /** All headers, names in lower case, in order; a name may stand more than once. */
  get headers(): [name: string, value: string][] {
    return headerEntries(this.rawHeaders);
  }

  /** Trailers; complete once the body has ended. */
  get trailers(): [name: string, value: string][] {
    return headerEntries(this.stream?.trailers ?? this.#trailers ?? []);
  }

  /** Corrects the expected work while the response streams (tokens left, or `usage`); above 0. After the end it does nothing. */
  reweigh(weight: number): void {
    this.#work?.setWeight(checkNumber('weight', weight, Number.MIN_VALUE));
  }

  /** The body as UTF-8. Reads a stream to its end. */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  /**
   * The body as JSON.
   * @throws {SyntaxError} as JSON.parse.
   */
  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  /** The body. Reads a stream to its end, without a limit of its own. */
  async bytes(): Promise<Uint8Array> {
    if (this.stream === undefined) return this.body;
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.stream) chunks.push(chunk);
    return joinChunks(chunks);
  }
}

export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}
