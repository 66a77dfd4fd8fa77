/**
 * Listens at one address: a subject for requests, and one beside it for what follows them, so that a server which drains can take
 * no more of the first and still be heard on the second.
 */
import type { Timer } from '../../core/clock.js';
import type { EvenkeelError } from '../../core/errors.js';
import type { CallHandler, Listener } from '../../core/transport/call.js';
import { GONE_AFTER_MS } from './call-client.js';
import { decodeFrame, encodeFrame, FRAME, followSubject } from './call-frames.js';
import { ServedCall } from './call-served.js';
import type { NatsLink } from './link.js';
import type { NatsMessage } from './peer.js';
import type { LinkSubscription } from './requests.js';

const LOOK_EVERY_MS = 1000;
/** A request that came twice is answered once; so many of those that are over are remembered. */
const MAX_RECENT = 4096;

export class NatsListener implements Listener {
  readonly address: string;
  readonly #link: NatsLink;
  readonly #handler: CallHandler;
  /** By the subject that their caller is heard at. */
  readonly #calls = new Map<string, ServedCall>();
  readonly #recent = new Set<string>();
  readonly #requests: LinkSubscription;
  readonly #follows: LinkSubscription;
  readonly #stopListening: () => void;
  /** NATS does not let this user listen there. */
  refusal: EvenkeelError | undefined;
  #timer: Timer | undefined;
  #isDraining = false;
  #isClosed = false;
  #waiting: (() => void)[] = [];

  constructor(link: NatsLink, address: string, subject: string, handler: CallHandler) {
    this.address = address;
    this.#link = link;
    this.#handler = handler;
    this.#requests = link.subscribe(subject, (message) => this.#begin(message));
    this.#follows = link.subscribe(followSubject(subject), (message) => this.#follow(message));
    const stopHearing = link.onChange((isUp) => {
      if (!isUp) for (const call of this.#calls.values()) call.abort('the connection to NATS was lost');
    });
    const stopRefusals = link.onRefused((error) => {
      if ([subject, followSubject(subject)].includes(String(error.details?.subject))) this.refusal = error;
    });
    this.#stopListening = () => {
      stopHearing();
      stopRefusals();
    };
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#requests.drain();
    if (this.#calls.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#end();
  }

  async close(): Promise<void> {
    this.#isDraining = true;
    this.#requests.drain();
    for (const call of this.#calls.values()) call.abort('the server was closed', 'unavailable');
    this.#end();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#follows.unsubscribe();
    this.#stopListening();
    this.#timer?.cancel();
  }

  #begin(message: NatsMessage): void {
    const { reply, data } = message;
    const frame = decodeFrame(data);
    if (reply === undefined || frame?.kind !== FRAME.request || this.#recent.has(reply)) return;
    if (this.#isDraining) {
      this.#link.up?.publish(reply, encodeFrame(FRAME.refuse));
      return;
    }
    this.#remember(reply);
    const send = (bytes: Uint8Array) => this.#link.up?.publish(reply, bytes);
    const call = new ServedCall(send, () => this.#over(reply), this.#link.maxPayload, this.#link.clock.now());
    this.#calls.set(reply, call);
    this.#watch();
    try {
      call.begin(frame, this.#handler);
    } catch {
      call.abort('the request is none', 'internal');
    }
  }

  #follow(message: NatsMessage): void {
    const { reply, data } = message;
    const frame = decodeFrame(data);
    if (reply === undefined || frame === undefined) return;
    const call = this.#calls.get(reply);
    if (call !== undefined) {
      call.heardAt = this.#link.clock.now();
      call.receive(frame);
    } else if (frame.kind === FRAME.ping && !this.#recent.has(reply)) {
      // A call of the server that was here before; or somebody who wants to know whether the address is taken.
      this.#link.up?.publish(reply, encodeFrame(FRAME.error, 0, Buffer.from('unavailable')));
    }
  }

  #over(reply: string): void {
    this.#calls.delete(reply);
    if (this.#calls.size > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #remember(reply: string): void {
    this.#recent.add(reply);
    if (this.#recent.size <= MAX_RECENT) return;
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest);
      return;
    }
  }

  /** Callers say something every two seconds; one that has not for long is gone. */
  #watch(): void {
    this.#timer ??= this.#link.clock.timer(LOOK_EVERY_MS, () => {
      this.#timer = undefined;
      const now = this.#link.clock.now();
      for (const call of this.#calls.values()) if (now - call.heardAt > GONE_AFTER_MS) call.abort('the caller has fallen silent');
      if (this.#calls.size > 0) this.#watch();
    });
  }
}
