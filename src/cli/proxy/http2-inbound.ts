/** An exchange over HTTP/2: one stream of a connection. */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../core/clock.js';
import { drained } from '../../core/internal/drained.js';
import { type Inbound, LINGER_MS, pairsOf, parseLength } from './inbound.js';

/**
 * A client may end a stream and then reset it, as Node's own does to cancel a request midway. The end of a body of unknown length is
 * believed when no reset has come for as long.
 */
const RESET_GRACE_MS = 5;
/** RFC 9110, section 6.4.1. */
const BARE = new Set([204, 205, 304]);

export class Http2Inbound implements Inbound {
  readonly version = '2';
  readonly method: string;
  readonly rawTarget: string;
  readonly hostHeader: string;
  readonly headers: readonly string[];
  readonly hasBody: boolean;
  readonly contentLength: number | undefined;
  readonly body: ServerHttp2Stream;
  isOver = false;
  onOver: ((isWhole: boolean) => void) | undefined;
  readonly #clock: Clock;
  #hasEnded = false;
  #trailers: readonly string[] | undefined;

  constructor(stream: ServerHttp2Stream, rawHeaders: readonly string[], hasBody: boolean, clock: Clock) {
    const { pseudo, headers } = sort(rawHeaders);
    this.method = pseudo.get(':method') ?? 'GET';
    this.rawTarget = pseudo.get(':path') ?? '';
    const host = pseudo.get(':authority');
    // RFC 9113, section 8.3.1: `:authority` stands for `host`, and beside it the latter is ignored.
    this.hostHeader = host ?? headers.get('host')?.[0] ?? '';
    this.headers = flatten(headers, host);
    this.contentLength = parseLength(headers.get('content-length')?.[0]);
    this.hasBody = hasBody;
    this.body = stream;
    this.#clock = clock;
    stream.on('error', () => {});
    stream.once('close', () => {
      this.isOver = true;
      // Node calls the writable side of a stream that was reset finished, too.
      this.onOver?.(this.#hasEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR);
    });
  }

  get remoteAddress(): string | undefined {
    return this.body.session?.socket?.remoteAddress;
  }

  get hasUnsent(): boolean {
    return this.body.writableLength > 0;
  }

  async isBodyWhole(): Promise<boolean> {
    // nghttp2 itself refuses a body that is not as long as it was said to be.
    if (this.contentLength === undefined && !this.body.aborted && !this.isOver)
      await this.#clock.sleep(RESET_GRACE_MS, undefined, true);
    return !this.body.aborted && !this.isOver;
  }

  continue(): void {}

  respond(status: number, headers: string[], isBare = this.method === 'HEAD' || BARE.has(status)): void {
    const { body } = this;
    if (body.destroyed) return;
    const fields: Record<string, string | string[]> = { ':status': String(status) };
    for (const [name, value] of pairsOf(headers)) {
      const lower = name.toLowerCase();
      const earlier = fields[lower];
      if (earlier === undefined) fields[lower] = value;
      else if (lower !== 'content-length') fields[lower] = Array.isArray(earlier) ? [...earlier, value] : [earlier, value];
    }
    body.respond(fields, isBare ? { endStream: true } : { waitForTrailers: true });
    body.once('wantTrailers', () => this.#sendTrailers());
  }

  /** HTTP/2 does not wait for a body. */
  flush(): void {}

  write(chunk: Uint8Array | string): boolean {
    return this.body.writableEnded || this.body.destroyed || this.body.write(chunk);
  }

  writable(): Promise<void> {
    return this.isOver ? Promise.resolve() : drained(this.body);
  }

  end(trailers: readonly string[]): void {
    this.#hasEnded = true;
    this.#trailers = trailers;
    if (!this.body.writableEnded) this.body.end();
    if (!this.body.readableEnded) this.#linger();
  }

  reset(): void {
    this.body.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #sendTrailers(): void {
    const { body } = this;
    if (body.destroyed || body.closed) return;
    const fields: Record<string, string> = {};
    for (const [name, value] of pairsOf(this.#trailers ?? [])) fields[name.toLowerCase()] = value;
    body.sendTrailers(fields);
  }

  /** The rest of the request is not wanted. After a while the answer says so itself (RFC 9113, section 8.1). */
  #linger(): void {
    const { body } = this;
    body.resume();
    const timer = this.#clock.timer(LINGER_MS, () => body.close(constants.NGHTTP2_NO_ERROR));
    body.once('close', () => timer.cancel());
  }
}

function sort(raw: readonly string[]): { pseudo: Map<string, string>; headers: Map<string, string[]> } {
  const pseudo = new Map<string, string>();
  const headers = new Map<string, string[]>();
  for (const [name, value] of pairsOf(raw)) {
    if (name.startsWith(':')) pseudo.set(name, value);
    else {
      const values = headers.get(name);
      if (values === undefined) headers.set(name, [value]);
      else values.push(value);
    }
  }
  return { pseudo, headers };
}

function flatten(headers: ReadonlyMap<string, readonly string[]>, host: string | undefined): string[] {
  const flat: string[] = host === undefined ? [] : ['host', host];
  for (const [name, values] of headers) {
    if (name === 'host' && host !== undefined) continue;
    // HTTP/2 may cut a cookie header up; HTTP/1.1 knows one only (RFC 9113, section 8.2.3).
    if (name === 'cookie') flat.push(name, values.join('; '));
    else for (const value of values) flat.push(name, value);
  }
  return flat;
}
