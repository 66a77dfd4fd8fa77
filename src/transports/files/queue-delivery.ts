/** A delivery of a file queue. An ack that failed may be tried again while the lease lasts; one that succeeded is every later one. */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { MAX_LEASE_MS, MIN_LEASE_MS } from '../../core/internal/transport-guards.js';
import type { Delivery } from '../../core/transport/queue.js';
import type { Lease, OpenQueue } from './queue-opened.js';

const MAX_REASON_LENGTH = 1024;
const MAX_DELAY_MS = 366 * 24 * 60 * 60 * 1000;

export class FileDelivery implements Delivery {
  readonly id: number;
  readonly body: Uint8Array;
  readonly attempt: number;
  readonly fence: number;
  readonly #queue: OpenQueue;
  readonly #lease: Lease;
  readonly #checkOpen: () => void;
  #acked: Promise<void> | undefined;

  /** @param checkClient - Throws when the client it was given to is closed. */
  constructor(queue: OpenQueue, lease: Lease, checkClient: () => void) {
    this.id = lease.item.id;
    this.body = new Uint8Array(lease.item.body);
    this.attempt = lease.attempts;
    this.fence = lease.fence;
    this.#queue = queue;
    this.#lease = lease;
    this.#checkOpen = checkClient;
  }

  ack(): Promise<void> {
    if (this.#acked !== undefined) return this.#acked;
    const acked = this.#ack();
    this.#acked = acked;
    acked.catch(() => {
      this.#acked = undefined;
    });
    return acked;
  }

  async nack(delayMs = 0): Promise<void> {
    checkNumber('delayMs', delayMs, 0, MAX_DELAY_MS);
    this.#checkOpen();
    await this.#queue.nack(this.#lease, delayMs);
  }

  async extend(ms: number): Promise<void> {
    checkNumber('ms', ms, MIN_LEASE_MS, MAX_LEASE_MS);
    this.#checkOpen();
    this.#queue.extend(this.#lease, ms);
  }

  async deadLetter(reason: string): Promise<void> {
    if (typeof reason !== 'string') throw invalidArgument('reason', reason, 'a string');
    this.#checkOpen();
    await this.#queue.bury(this.#lease, reason.slice(0, MAX_REASON_LENGTH));
  }

  async #ack(): Promise<void> {
    this.#checkOpen();
    await this.#queue.ack(this.#lease);
  }
}
