/**
 * Taking leases: what is ready now, or the next that becomes so.
 *
 * When does a lease begin? The server gives every delivery the consumer's own time (30 s) and is told the wanted one at once; the
 * number that fences it is asked for after that on the same connection, so its answer says that the server has heard both. What is
 * not certain by then is handed back.
 */
import { isEvenkeelError } from '../../core/errors.js';
import { parseDeliverySubject } from './delivery-subject.js';
import { numberOf, STREAM_NOT_FOUND } from './nats-errors.js';
import type { NatsMessage } from './peer.js';
import type { DelayedItems } from './queue-delayed.js';
import { type DeliveryQueue, NatsDelivery } from './queue-delivery.js';
import { ID, itemId } from './queue-enqueue.js';
import { handBack, nakAfter, type Pulled, pull, tell } from './queue-pull.js';

/** A pull that waits is made anew after so long. Shorter than the time a delivery is ours without a word. */
const WAIT_MS = 10_000;
/** The consumer was refused: it may be gone, or still be loaded. */
const REFUSED_PAUSE_MS = 100;

export interface LeaseRequest {
  readonly max: number;
  readonly leaseMs: number;
  readonly signal: AbortSignal;
}

export class Leasing {
  readonly #queue: DeliveryQueue;
  readonly #delayed: DelayedItems;
  readonly #inbox: string;
  #pulls = 0;

  /** @param inbox - A subject of this client's alone. */
  constructor(queue: DeliveryQueue, delayed: DelayedItems, inbox: string) {
    this.#queue = queue;
    this.#delayed = delayed;
    this.#inbox = inbox;
  }

  /** Empty only when stopped by the signal. A server that goes away is waited for. */
  async lease(request: LeaseRequest): Promise<NatsDelivery[]> {
    const { streams } = this.#queue;
    const { link } = streams.js;
    const { signal } = request;
    await streams.opened.ready();
    while (!signal.aborted) {
      try {
        await link.connected(link.clock.now() + link.settings.timeoutMs, signal);
        await streams.opened.ready();
        await this.#delayed.catchUp();
        const pulled = await this.#pull(request);
        const deliveries = await this.#take(pulled, request);
        if (deliveries.length > 0) return deliveries;
        if (pulled.some(({ end }) => end === 'refused')) {
          streams.opened.forget();
          await link.clock.sleep(REFUSED_PAUSE_MS, signal, true);
        }
      } catch (error) {
        if (signal.aborted) break;
        if (!isEvenkeelError(error, 'unavailable') && numberOf(error) !== STREAM_NOT_FOUND) throw error;
        // Nobody answers: perhaps a stream is gone.
        streams.opened.forget();
        await link.clock.sleep(REFUSED_PAUSE_MS, signal, true).catch(() => {});
      }
    }
    return [];
  }

  async #pull({ max, signal }: LeaseRequest): Promise<Pulled[]> {
    const now = await this.#ask(max, 0, signal);
    if (now.messages.length > 0 || now.end !== 'done') return [now];
    const leave = this.#delayed.attend();
    let first: Pulled;
    try {
      first = await this.#ask(1, WAIT_MS, signal);
    } finally {
      leave();
    }
    if (first.end === 'stopped' || first.end === 'lost') this.#queue.streams.dropLeftPulls();
    // Whatever woke us may have brought more than one.
    if (max === 1 || first.messages.length === 0 || first.end !== 'done') return [first];
    return [first, await this.#ask(max - 1, 0, signal)];
  }

  #ask(batch: number, waitMs: number, signal: AbortSignal): Promise<Pulled> {
    const inbox = `${this.#inbox}.${(this.#pulls++).toString(36)}`;
    return pull(this.#queue.streams.js.link, { subject: this.#queue.streams.pullSubject, inbox, batch, waitMs, signal });
  }

  async #take(pulled: readonly Pulled[], { leaseMs, signal }: LeaseRequest): Promise<NatsDelivery[]> {
    const { streams } = this.#queue;
    const { link } = streams.js;
    const messages = pulled.flatMap((one) => one.messages);
    if (messages.length === 0) return [];
    const askedAtMs = Math.min(...pulled.map((one) => one.askedAtMs));
    const generation = Math.min(...pulled.map((one) => one.generation));
    const toldAtMs = link.clock.now();
    // We slept: they may be somebody else's by now.
    if (toldAtMs >= askedAtMs + streams.ackWaitMs) return [];
    const endsAtMs = toldAtMs + leaseMs;
    for (const { reply } of messages) if (reply !== undefined) tell(link, reply, nakAfter(leaseMs));
    let fence: number;
    try {
      fence = await streams.nextFence(Math.min(leaseMs, link.settings.timeoutMs));
    } catch (error) {
      handBack(link, messages);
      throw error;
    }
    if (link.clock.now() >= endsAtMs) return [];
    if (link.generation !== generation || signal.aborted) {
      handBack(link, messages);
      return [];
    }
    const taken = new Map<number, NatsDelivery>();
    for (const message of messages) {
      const delivery = this.#delivery(message, fence, endsAtMs);
      // A server that was killed may give one item twice: the later delivery is the one that counts.
      if (delivery !== undefined) taken.set(delivery.id, delivery);
    }
    const deliveries: NatsDelivery[] = [];
    const burials: Promise<void>[] = [];
    for (const delivery of taken.values()) {
      if (delivery.attempt <= this.#queue.deadAfter) deliveries.push(delivery);
      // Its lease ran out once too often. When this fails, the next who is given it tries again.
      else burials.push(delivery.buryUndelivered().catch(() => {}));
    }
    // The leases of the others run.
    if (deliveries.length === 0) await Promise.all(burials);
    return deliveries;
  }

  #delivery(message: NatsMessage, fence: number, endsAtMs: number): NatsDelivery | undefined {
    const { reply, headers, data } = message;
    const position = parseDeliverySubject(reply);
    if (reply === undefined || position === undefined) return undefined;
    return new NatsDelivery(this.#queue, {
      id: itemId(headers?.get(ID), position.streamSeq),
      body: new Uint8Array(data),
      attempt: position.delivered,
      fence,
      reply,
      endsAtMs,
    });
  }
}
