/**
 * One connection to NATS, shared by every transport of the process that uses it.
 *
 * What happens when the server goes? Reads, and writes that can be told apart when they come twice, are asked again until
 * `timeoutMs` is over: each try has 300 ms, a try in flight ends with its connection, and the next begins the moment there is a new
 * one. The connection is made again for as long as the client is open, whatever the error, with a growing, jittered pause.
 */
import { type Clock, liveClock } from '../../core/clock.js';
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { liveRandom, type Random } from '../../core/random.js';
import { type NatsClient, NatsLink } from './link.js';
import type { NatsModule } from './peer.js';

export interface NatsClientOptions {
  /** The peer: `import * as nats from '@nats-io/transport-node'`, version 3. */
  nats: NatsModule;
  /**
   * What the peer's `connect` takes: `{ servers: 'nats://10.0.0.7:4222', user, pass }`. How it reconnects is decided here: for ever,
   * with a jittered pause of 20 ms that grows to 250 ms, and to 2 s once it has lasted half a minute.
   */
  connect?: Readonly<Record<string, unknown>>;
  /** Milliseconds for one try of a request. Default 300. */
  requestTimeoutMs?: number;
  /**
   * Milliseconds for an operation, with its repeated tries and the wait for a connection. Default 5000; at most 25,000: the server
   * remembers for 30 s what it has stored. Lists of blobs and of delayed items have 25 s whatever this is, a blob's chunk 30 s.
   */
  timeoutMs?: number;
  /** Subject of JetStream's API, for accounts that import it under another name. Default `$JS.API`. */
  apiPrefix?: string;
  /** Where replies are received, for users who may not listen on all of `_INBOX`. Default `_INBOX`. */
  inboxPrefix?: string;
  /** Default: the process's. */
  clock?: Clock;
  /** Default: seeded by the operating system. */
  random?: Random;
}

export type { NatsClient } from './link.js';

export const DEFAULT_NATS_REQUEST_TIMEOUT_MS = 300;
export const DEFAULT_NATS_TIMEOUT_MS = 5000;

/**
 * Connects at the first use.
 *
 * @example
 * ```ts nocheck
 * import * as nats from '@nats-io/transport-node';
 * import { createNatsClient, createNatsState } from 'evenkeel/nats';
 *
 * const client = createNatsClient({ nats, connect: { servers: 'nats://10.0.0.7:4222' } });
 * const state = createNatsState({ client, bucket: 'fleet' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` naming the option. Operations of transports: `unauthenticated` and `permission-denied`
 *   for credentials the server refuses, `unavailable` when none could be reached in time.
 */
export function createNatsClient(options: NatsClientOptions): NatsClient {
  const { nats, connect = {}, apiPrefix = '$JS.API', inboxPrefix = '_INBOX' } = options;
  if (typeof nats?.connect !== 'function' || typeof nats.headers !== 'function') {
    throw invalidArgument('nats', nats, 'the module @nats-io/transport-node, version 3');
  }
  checkSubject('apiPrefix', apiPrefix);
  checkSubject('inboxPrefix', inboxPrefix);
  return new NatsLink({
    nats,
    connect,
    apiPrefix,
    inboxPrefix,
    requestTimeoutMs: checkNumber('requestTimeoutMs', options.requestTimeoutMs ?? DEFAULT_NATS_REQUEST_TIMEOUT_MS, 10, 60_000),
    timeoutMs: checkNumber('timeoutMs', options.timeoutMs ?? DEFAULT_NATS_TIMEOUT_MS, 10, 25_000),
    clock: options.clock ?? liveClock(),
    random: options.random ?? liveRandom(),
  });
}

/** The transports' own view of the handle. */
export function linkOf(client: NatsClient): NatsLink {
  if (client instanceof NatsLink) return client;
  throw invalidArgument('client', client, 'what createNatsClient() returned');
}

function checkSubject(what: string, subject: string): void {
  if (typeof subject === 'string' && /^[^\s.*>]+(\.[^\s.*>]+)*$/.test(subject)) return;
  throw invalidArgument(what, subject, 'a subject without wildcards');
}
