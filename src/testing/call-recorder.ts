/** A sink that keeps what it hears, and holds the transport to the grammar of a call. */
import assert from 'node:assert/strict';
import type { Endpoint } from '../core/endpoint.js';
import { type ErrorCode, type EvenkeelError, isEvenkeelError } from '../core/errors.js';
import { type HeaderList, headerEntries } from '../core/headers.js';
import type { CallHandle, CallRequest, CallSink } from '../core/transport/call.js';
import type { CallSession } from './call-harness.js';
import { eventually } from './conformance.js';

/** The operation of every call of the suite, in a form that gRPC takes too. */
export const PATH = '/evenkeel.Test/Call';

export class Recorder implements CallSink {
  readonly log: string[] = [];
  readonly chunks: Uint8Array[] = [];
  status: number | undefined;
  headers: HeaderList = [];
  trailers: HeaderList | undefined;
  error: EvenkeelError | undefined;
  bytes = 0;
  isOver = false;
  /** False while `start` runs. */
  mayHear = false;
  handle: CallHandle | undefined;
  /** Called with each piece, before it counts. */
  onPiece: ((chunk: Uint8Array) => void) | undefined;
  #breach: string | undefined;

  onResponse(status: number, headers: HeaderList): void {
    this.#hear('response');
    this.status = status;
    this.headers = headers;
  }

  onData(chunk: Uint8Array): void {
    this.#hear('data');
    if (this.status === undefined) this.#breach ??= 'data before the response';
    this.chunks.push(chunk);
    this.bytes += chunk.byteLength;
    this.onPiece?.(chunk);
  }

  onEnd(trailers?: HeaderList): void {
    this.#hear('end');
    this.isOver = true;
    if (this.status === undefined) this.#breach ??= 'an end before the response';
    this.trailers = trailers;
  }

  onError(error: EvenkeelError): void {
    this.#hear(`error ${error.code}`);
    this.isOver = true;
    this.error = error;
    if (!isEvenkeelError(error)) this.#breach ??= `not an evenkeel error: ${String(error)}`;
  }

  onPhase(phase: 'connected' | 'sent', atMs: number): void {
    this.#hear(phase);
    if (!Number.isFinite(atMs)) this.#breach ??= `${phase} at ${atMs}`;
  }

  get body(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  /** Values of one header, in order. */
  values(name: string, list: HeaderList = this.headers): string[] {
    return headerEntries(list)
      .filter(([key]) => key === name)
      .map(([, value]) => value);
  }

  check(): void {
    assert.equal(this.#breach, undefined, `${this.#breach} (${this.log.join(', ')})`);
  }

  #hear(what: string): void {
    this.log.push(what);
    if (!this.mayHear) this.#breach ??= `${what} inside start`;
    if (this.isOver) this.#breach ??= `${what} after the end`;
    const isRepeated = what !== 'data' && this.log.indexOf(what) < this.log.length - 1;
    if (isRepeated) this.#breach ??= `${what} twice`;
  }
}

export function startCall(
  session: CallSession,
  to: Endpoint,
  request: Partial<CallRequest> = {},
  sink = new Recorder(),
): Recorder {
  sink.handle = session.transport.start(to, { path: PATH, ...request }, sink);
  sink.mayHear = true;
  return sink;
}

/** Waits for the end, then long enough to hear what may come after it. */
export async function ended(session: CallSession, sink: Recorder): Promise<Recorder> {
  await eventually(session, 'the call is over', () => sink.isOver);
  await session.advance(20);
  sink.check();
  return sink;
}

/** The call succeeds. */
export async function answered(session: CallSession, sink: Recorder): Promise<Recorder> {
  await ended(session, sink);
  assert.equal(sink.error, undefined, String(sink.error));
  return sink;
}

/** The call ends with an error of one of these codes. */
export async function failed(session: CallSession, sink: Recorder, ...codes: ErrorCode[]): Promise<EvenkeelError> {
  await ended(session, sink);
  const { error } = sink;
  assert.ok(error !== undefined, `expected ${codes.join(' or ')}, but the call succeeded with ${sink.status}`);
  assert.ok(codes.includes(error.code), `expected ${codes.join(' or ')}, got ${error.code}: ${error.message}`);
  return error;
}

export async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A promise that the test resolves. */
export function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}
