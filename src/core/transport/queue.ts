/**
 * QueueTransport: durable at-least-once delivery with start times, leases and fencing.
 *
 * Who may acknowledge? The holder of the newest lease. Each delivery carries a `fence` that rises with every lease of the item;
 * an `ack` with an older fence fails with `aborted`, so that a worker which slept past its lease cannot end somebody else's work.
 */

/** Most items in one `enqueue`, and most deliveries in one `lease`. */
export const MAX_QUEUE_BATCH = 1000;
export const MAX_QUEUE_BODY_BYTES = 256 * 1024;

export interface QueueTransport {
  /**
   * Stores items, all or none, and resolves with their ids (rising) once they are as durable as this store gets.
   * @throws {EvenkeelError} `out-of-range` for a body above {@link MAX_QUEUE_BODY_BYTES}; `resource-exhausted` when the queue is full.
   */
  enqueue(items: readonly QueueItem[], options?: { signal?: AbortSignal }): Promise<number[]>;
  /**
   * Waits until at least one item is due, then resolves with up to `max`, oldest due first. An empty array only after `signal` aborted.
   * @param options.leaseMs - Time to `ack` or `extend` before the item is due again; 100 ms to 1 day.
   */
  lease(options: { max: number; leaseMs: number; signal?: AbortSignal }): Promise<Delivery[]>;
  /** Items by state; a reading, not a snapshot. */
  stats(): Promise<QueueStats>;
  /** Dead letters, oldest first. */
  deadLetters(options: { limit: number }): Promise<readonly DeadLetter[]>;
  /** Waiting `lease` calls end with `failed-precondition`; leased items become due when their leases run out. Idempotent. */
  close(): Promise<void>;
}

export interface QueueItem {
  readonly body: Uint8Array;
  /** Wall-clock milliseconds before which the item is not delivered; survives a restart. Default: at once. */
  readonly notBefore?: number;
  /**
   * An item whose key is that of one still stored is not stored again: its id is returned. 1 to 512 bytes of UTF-8.
   * A dead letter no longer holds its key.
   */
  readonly key?: string;
}

export interface Delivery {
  readonly id: number;
  readonly body: Uint8Array;
  /** 1 for the first delivery. */
  readonly attempt: number;
  /** Rises with every lease of this item. */
  readonly fence: number;
  /**
   * Done: the item is gone. Each of these four throws `aborted` when the lease is no longer ours; `ack` twice is one ack.
   * A lease that ran out is not ours, but a store may still take its `ack` while nobody else holds the item.
   */
  ack(): Promise<void>;
  /** Due again after `delayMs` (default 0). */
  nack(delayMs?: number): Promise<void>;
  /** The lease now lasts `ms` from here. */
  extend(ms: number): Promise<void>;
  /** Out of the queue, kept with `reason`. */
  deadLetter(reason: string): Promise<void>;
}

export interface DeadLetter {
  readonly id: number;
  readonly body: Uint8Array;
  readonly attempts: number;
  readonly reason: string;
}

/**
 * `delayed` counts items that wait for a start time or for the end of a nack delay. An engine whose server cannot tell counts those
 * with a nack delay, and those whose lease ran out, as `leased` until they are delivered again; its documentation says so.
 */
export interface QueueStats {
  readonly due: number;
  readonly delayed: number;
  readonly leased: number;
  readonly dead: number;
}
