/**
 * StateTransport in a bucket of NATS JetStream, for any number of processes and machines.
 *
 * When is a put durable? When the stream's leader has it, and with `replicas: 3` a majority: as durable as the server's store is.
 * A server that loses power may lose the last moments; a watch then sees another epoch. NATS does not number such losses: an epoch
 * of one process is not to be compared with that of another.
 */
import type { Clock } from '../../core/clock.js';
import { checkInteger } from '../../core/errors.js';
import { checkExpect, checkPut, checkUse, checkWatch } from '../../core/internal/state-arguments.js';
import { StateWatch, toEntry } from '../../core/internal/state-watch.js';
import type { PutOptions, StateEntry, StateEvent, StateTransport, Watch } from '../../core/transport/state.js';
import { linkOf, type NatsClient } from './client.js';
import { checkReplicas, JetStream } from './jetstream.js';
import { checkName } from './names.js';
import { StateBucket } from './state-bucket.js';
import { StateCopy } from './state-copy.js';
import { StateDocuments } from './state-documents.js';

export interface NatsStateOptions {
  client: NatsClient;
  /** The bucket's name, made at the first use: 1 to 64 letters, digits, `-`, `_`. `nats kv` and the kv package read it, too. */
  bucket: string;
  /** Bytes the bucket holds; a put beyond is refused with `resource-exhausted`. Read when the bucket is made. Default 256 MiB. */
  maxBytes?: number;
  /** Servers that hold each document, 1, 3 or 5. Read when the bucket is made. Default 1. */
  replicas?: number;
}

export const DEFAULT_NATS_BUCKET_BYTES = 256 * 1024 * 1024;

/**
 * Small keyed documents on NATS: the distributed store, by changing one option.
 *
 * An operation costs one round trip, a put that expects absence of a key which existed before three. A watch holds a copy of the
 * bucket and one consumer, however many watches a process has. It proves once a second that it holds the head, and outlives every
 * loss of its server: the age grows until the server is back.
 *
 * @example
 * ```ts nocheck
 * import * as nats from '@nats-io/transport-node';
 * import { createNatsClient, createNatsState } from 'evenkeel/nats';
 *
 * const client = createNatsClient({ nats, connect: { servers: 'nats://10.0.0.7:4222' } });
 * const state = createNatsState({ client, bucket: 'fleet' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` naming the option. Operations: `unavailable` when no server answers within the client's
 *   `timeoutMs`, `unauthenticated`, `permission-denied`, `resource-exhausted` (a full bucket), `failed-precondition` without JetStream.
 */
export function createNatsState(options: NatsStateOptions): StateTransport {
  const link = linkOf(options.client);
  const bounds = {
    maxBytes: checkInteger('maxBytes', options.maxBytes ?? DEFAULT_NATS_BUCKET_BYTES, 1),
    replicas: checkReplicas(options.replicas),
  };
  return new NatsState(new StateBucket(new JetStream(link), checkName('bucket', options.bucket), bounds));
}

class NatsState implements StateTransport {
  readonly #clock: Clock;
  readonly #documents: StateDocuments;
  readonly #copy: StateCopy;
  readonly #watches = new Set<StateWatch>();
  #isClosed = false;

  constructor(bucket: StateBucket) {
    this.#clock = bucket.clock;
    const copy = new StateCopy(bucket);
    this.#copy = copy;
    this.#documents = new StateDocuments(bucket, (key, revision) => copy.holds(key, revision));
  }

  async get(key: string, options?: { signal?: AbortSignal }): Promise<StateEntry | undefined> {
    checkUse(this.#isClosed, key, options?.signal);
    const record = await this.#documents.get(key, options?.signal);
    return record === undefined ? undefined : toEntry(record);
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    const { expect, leaseMs, signal } = options;
    checkUse(this.#isClosed, key, signal);
    const bytes = checkPut(value, options);
    return this.#documents.put(key, bytes, expect, leaseMs, signal);
  }

  async delete(key: string, options: { expect?: number; signal?: AbortSignal } = {}): Promise<number> {
    checkUse(this.#isClosed, key, options.signal);
    checkExpect(options.expect);
    return this.#documents.delete(key, options.expect, options.signal);
  }

  watch(prefix: string, on: (event: StateEvent) => void): Watch {
    checkWatch(this.#isClosed, prefix, on);
    const watch = new StateWatch(this.#copy, this.#clock, prefix, on, (closed) => this.#watches.delete(closed));
    this.#watches.add(watch);
    return watch;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const watch of this.#watches) watch.close();
    this.#copy.close();
  }
}
