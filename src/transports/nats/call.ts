/**
 * CallTransport over NATS request and reply: any server by its name, wherever it runs, without an address or an open port.
 *
 * What holds a stream back? Each direction has a window of 256 KiB that its reader opens again as it reads: NATS itself drops the
 * connection of whoever reads too slowly. What tells that a server is gone? NATS at once when it never was there; a question every
 * two seconds of silence after that; and a connection that is lost ends all calls on it.
 */
import type { Timer } from '../../core/clock.js';
import type { Endpoint } from '../../core/endpoint.js';
import { EvenkeelError, invalidArgument, isEvenkeelError } from '../../core/errors.js';
import { checkRequest } from '../../core/internal/call-message.js';
import { Lifecycle } from '../../core/lifecycle.js';
import { randomId } from '../../core/random.js';
import type {
  CallBody,
  CallHandle,
  CallHandler,
  CallRequest,
  CallSink,
  CallTransport,
  Listener,
  ListenOptions,
} from '../../core/transport/call.js';
import { NatsCall, type NatsCallOwner } from './call-client.js';
import { encodeFrame, encodeHead, FRAME, followSubject, isWhole } from './call-frames.js';
import { NatsListener } from './call-server.js';
import { linkOf, type NatsClient } from './client.js';
import type { NatsLink } from './link.js';
import type { LinkSubscription } from './requests.js';

export interface NatsCallOptions {
  client: NatsClient;
  /** First part of the subjects that servers listen at; `nats://search-1` is `evenkeel.call.search-1`. Default `evenkeel.call`. */
  prefix?: string;
}

export const DEFAULT_NATS_CALL_PREFIX = 'evenkeel.call';

/** A call transport with a server side. */
export interface NatsCallTransport extends CallTransport, AsyncDisposable {
  /** Listens at `nats://name`; `nats://name:0` adds something that makes the name unique. One server an address. */
  serve(at: ListenOptions, handler: CallHandler): Promise<Listener>;
}

const ADDRESS = /^nats:\/\/([\w-]+(?:\.[\w-]+)*)(:0)?$/;
const LOOK_EVERY_MS = 1000;
/** A server that has the address answers sooner. */
const TAKEN_WITHIN_MS = 60;

/**
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts nocheck
 * import * as nats from '@nats-io/transport-node';
 * import { createNatsCall, createNatsClient } from 'evenkeel/nats';
 *
 * const transport = createNatsCall({ client: createNatsClient({ nats }) });
 * await transport.serve({ address: 'nats://greeter-1' }, async () => ({ status: 200, body: 'hello' }));
 * ```
 */
export function createNatsCall(options: NatsCallOptions): NatsCallTransport {
  const prefix = options.prefix ?? DEFAULT_NATS_CALL_PREFIX;
  if (typeof prefix !== 'string' || !/^[\w$-]+(\.[\w$-]+)*$/.test(prefix)) {
    throw invalidArgument('prefix', prefix, 'a subject without wildcards');
  }
  return new NatsCallClient(linkOf(options.client), prefix);
}

class NatsCallClient implements NatsCallTransport, NatsCallOwner {
  readonly #link: NatsLink;
  readonly #prefix: string;
  readonly #inbox: string;
  readonly #calls = new Map<string, NatsCall>();
  readonly #lifecycle = new Lifecycle('nats transport');
  #replies: LinkSubscription | undefined;
  #stopListening: (() => void) | undefined;
  #timer: Timer | undefined;
  #next = 0;

  constructor(link: NatsLink, prefix: string) {
    this.#link = link;
    this.#prefix = prefix;
    this.#inbox = `${link.settings.inboxPrefix}.${randomId(link.random).slice(0, 22)}`;
  }

  get maxPayload(): number {
    return this.#link.maxPayload;
  }

  now(): number {
    return this.#link.clock.coarse();
  }

  start(to: Endpoint, request: CallRequest, sink: CallSink): CallHandle {
    const token = (this.#next++).toString(36);
    const call = new NatsCall(this, token, to?.id ?? '', sink);
    this.#calls.set(token, call);
    this.#lifecycle.enter();
    if (!this.#lifecycle.isOpen) {
      queueMicrotask(() => call.lose('the nats transport is draining or closed'));
      return call;
    }
    try {
      const subject = this.#subjectOf(to?.address);
      checkRequest(request);
      const { path, body, headers = [] } = request;
      const whole = isWhole(body, this.maxPayload) ? (body ?? '') : undefined;
      const head = [path, request.method ?? (body === undefined ? 'GET' : 'POST'), ...headers];
      this.#publish(call, token, subject, encodeHead(FRAME.request, head, whole), whole === undefined ? body : undefined);
    } catch (error) {
      const cause = isEvenkeelError(error) ? error : invalidArgument('the call', error, 'an endpoint and a request');
      queueMicrotask(() => call.fail(cause));
    }
    return call;
  }

  async serve(at: ListenOptions, handler: CallHandler): Promise<Listener> {
    if (!this.#lifecycle.isOpen) throw this.#lifecycle.refusal;
    const { address } = at;
    const match = typeof address === 'string' ? ADDRESS.exec(address) : null;
    if (match === null) throw invalidArgument('address', address, 'nats://name, or nats://name:0 for a unique one');
    if (typeof handler !== 'function') throw invalidArgument('handler', handler, 'a function');
    const name = match[2] === undefined ? match[1] : `${match[1]}-${randomId(this.#link.random).slice(0, 8)}`;
    const subject = `${this.#prefix}.${name}`;
    const until = this.#link.clock.now() + this.#link.settings.timeoutMs;
    if (await this.#isTaken(subject, until)) {
      throw new EvenkeelError('already-exists', `${address} is taken`, { details: { address } });
    }
    const listener = new NatsListener(this.#link, `nats://${name}`, subject, handler);
    try {
      await this.#link.heard(until);
      if (listener.refusal !== undefined) throw listener.refusal;
    } catch (error) {
      await listener.close();
      throw error;
    }
    return listener;
  }

  forget(_to: Endpoint): void {
    // There are no connections to endpoints.
  }

  async drain(): Promise<void> {
    await this.#lifecycle.drain();
    this.#end();
  }

  async close(): Promise<void> {
    this.#lifecycle.close();
    for (const call of this.#calls.values()) {
      call.cancelServer();
      call.lose('the nats transport was closed');
    }
    this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  send(subject: string, token: string, frame: Uint8Array): void {
    this.#link.up?.publish(followSubject(subject), frame, { reply: `${this.#inbox}.${token}` });
  }

  onCallEnd(token: string): void {
    this.#calls.delete(token);
    this.#lifecycle.leave();
  }

  /** At once where there is a connection; otherwise when there is one, within the client's time. */
  #publish(call: NatsCall, token: string, subject: string, frame: Uint8Array, body: CallBody | undefined): void {
    this.#listen();
    const connection = this.#link.up;
    if (connection !== undefined) {
      try {
        connection.publish(subject, frame, { reply: `${this.#inbox}.${token}` });
        call.sending(subject, body);
      } catch (cause) {
        const code = (cause as Error).name === 'InvalidArgumentError' ? 'out-of-range' : 'unavailable';
        const error = new EvenkeelError(code, `the call cannot be sent: ${(cause as Error).message}`, {
          cause,
          retryable: 'yes',
        });
        queueMicrotask(() => call.fail(error));
      }
      return;
    }
    const until = this.#link.clock.now() + this.#link.settings.timeoutMs;
    this.#link.connected(until).then(
      () => call.isOver || this.#publish(call, token, subject, frame, body),
      (error: EvenkeelError) => call.fail(error),
    );
  }

  #listen(): void {
    if (this.#replies === undefined) {
      const replies = `${this.#inbox}.*`;
      this.#replies = this.#link.subscribe(replies, (message) => {
        this.#calls.get(message.subject.slice(this.#inbox.length + 1))?.receive(message);
      });
      const stopHearing = this.#link.onChange((isUp) => {
        if (!isUp) for (const call of this.#calls.values()) call.disconnected();
      });
      const stopRefusals = this.#link.onRefused((error) => {
        const subject = String(error.details?.subject);
        for (const call of this.#calls.values()) if (subject === replies || call.uses(subject)) call.fail(error);
      });
      this.#stopListening = () => {
        stopHearing();
        stopRefusals();
      };
    }
    this.#timer ??= this.#link.clock.timer(LOOK_EVERY_MS, () => {
      this.#timer = undefined;
      const now = this.#link.clock.now();
      for (const call of this.#calls.values()) call.look(now);
      if (this.#calls.size > 0) this.#listen();
    });
  }

  #end(): void {
    this.#replies?.unsubscribe();
    this.#stopListening?.();
    this.#timer?.cancel();
  }

  async #isTaken(subject: string, until: number): Promise<boolean> {
    const probe = { what: `listen at ${subject}`, isIdempotent: false, timeoutMs: TAKEN_WITHIN_MS };
    for (;;) {
      await this.#link.connected(until);
      try {
        await this.#link.requests.request(followSubject(subject), encodeFrame(FRAME.ping), probe);
        return true;
      } catch (error) {
        if (!isEvenkeelError(error, 'unavailable')) throw error;
        // Nobody listens there. Otherwise the question was lost, or its answer.
        if (error.retryable === 'yes') return false;
        if (this.#link.clock.now() >= until) throw error;
      }
    }
  }

  #subjectOf(address: string | undefined): string {
    const name = typeof address === 'string' ? ADDRESS.exec(address)?.[1] : undefined;
    if (name === undefined) throw invalidArgument('endpoint.address', address, 'nats://name');
    return `${this.#prefix}.${name}`;
  }
}
