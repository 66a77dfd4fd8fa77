/**
 * A server makes itself known to its callers.
 *
 * When do callers stop coming? When the announcement is withdrawn, or its lease ran out because the process died. `drain()` withdraws
 * first and waits after: for `lameDuckMs` the server still answers those who have not heard yet.
 */
import { announcementKey, encodeAnnouncement, holderOf } from './announcement.js';
import { type EndpointLike, parseEndpoint } from './endpoint.js';
import { checkNumber, invalidArgument } from './errors.js';
import { LeaseKeeper } from './lease.js';
import type { Drainable } from './lifecycle.js';
import type { LoadReport } from './load-report.js';
import { randomId } from './random.js';
import { createRuntime, type Runtime } from './runtime.js';
import type { StateTransport } from './transport/state.js';

export interface AnnounceOptions {
  /** Where callers look: the `state` of their `stateResolver`. Not closed by the announcement. */
  state: StateTransport;
  service: string;
  /** How callers reach this process. Its id should outlive restarts. */
  endpoint: EndpointLike;
  /**
   * How long callers keep a server that died without a word. Renewed at a third of it. Default 5,000 ms; 500 to 86,400,000. Shorter
   * finds the dead sooner and takes a busy process for dead more often.
   */
  leaseMs?: number;
  /** How long `drain()` waits after the withdrawal. Default 1,000 ms; 0 to 3,600,000. */
  lameDuckMs?: number;
  /**
   * How busy the server is, told with each renewal to those who plan routes: utilisation (the application's own, else the CPU's), calls and
   * failed calls a second. Some 60 bytes. For instance `() => runtime.load.report(['host'])`. Default: nothing is told.
   */
  load?: () => LoadReport;
  /** Default: one of its own. */
  runtime?: Runtime;
}

export interface Announcement extends Drainable {
  /** True while callers can see the endpoint, by this process's own clock. */
  readonly isHeld: boolean;
  /** Withdraws, then waits `lameDuckMs`: close the server after that. Never rejects; a store that is away lets the lease run out. */
  drain(): Promise<void>;
  /** Withdraws without the wait, and ends the wait of a drain. Never rejects. */
  close(): Promise<void>;
}

export const DEFAULT_ANNOUNCE_LEASE_MS = 5000;
export const DEFAULT_LAME_DUCK_MS = 1000;

/**
 * Announces `endpoint` as one of `service`, for as long as this process lives. Costs three small writes a lease. A process that
 * announces an id anew takes it over from its former self; of two alive with one id the later one is announced, and the other comes
 * back when that is gone.
 *
 * @example
 * ```ts
 * import { announce } from 'evenkeel/core';
 * import { createMemoryState } from 'evenkeel/memory';
 *
 * const state = createMemoryState();
 * const announcement = announce({ state, service: 'search', endpoint: 'http://10.0.0.7:8000', lameDuckMs: 0 });
 * // ... serve ...
 * await announcement.drain();
 * ```
 * @throws {EvenkeelError} `invalid-argument` for a malformed endpoint or service, or a time out of range.
 */
export function announce(options: AnnounceOptions): Announcement {
  if (typeof options.state?.put !== 'function') throw invalidArgument('state', options.state, 'a StateTransport');
  const endpoint = parseEndpoint(options.endpoint);
  const key = announcementKey(options.service, endpoint.id);
  const leaseMs = checkNumber('leaseMs', options.leaseMs ?? DEFAULT_ANNOUNCE_LEASE_MS, 500, 86_400_000);
  const lameDuckMs = checkNumber('lameDuckMs', options.lameDuckMs ?? DEFAULT_LAME_DUCK_MS, 0, 3_600_000);
  const runtime = options.runtime ?? createRuntime();
  const { load } = options;
  if (load !== undefined && typeof load !== 'function') throw invalidArgument('load', load, 'a function');
  const holder = randomId(runtime.random);
  const keeper = new LeaseKeeper({
    state: options.state,
    key,
    value: () => encodeAnnouncement(endpoint, holder, load && readLoad(load, runtime)),
    isOurs: (value) => holderOf(key, value) === holder,
    leaseMs,
    runtime,
    conflict: 'take-over',
  });
  return new LeasedAnnouncement(keeper, runtime, lameDuckMs);
}

/** A server that cannot say how busy it is should be known all the same. */
function readLoad(load: () => LoadReport, { diagnostics }: Runtime): LoadReport | undefined {
  try {
    return load();
  } catch (error) {
    diagnostics.report('announce: load', error);
    return undefined;
  }
}

class LeasedAnnouncement implements Announcement {
  readonly #keeper: LeaseKeeper;
  readonly #runtime: Runtime;
  readonly #lameDuckMs: number;
  readonly #closing = new AbortController();
  #drained: Promise<void> | undefined;

  constructor(keeper: LeaseKeeper, runtime: Runtime, lameDuckMs: number) {
    this.#keeper = keeper;
    this.#runtime = runtime;
    this.#lameDuckMs = lameDuckMs;
    keeper.start();
  }

  get isHeld(): boolean {
    return this.#keeper.isHeld;
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#keeper.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  async #drain(): Promise<void> {
    await this.#keeper.release();
    if (this.#lameDuckMs === 0 || this.#closing.signal.aborted) return;
    await this.#runtime.clock.sleep(this.#lameDuckMs, this.#closing.signal, true).catch(() => {});
  }
}
