/**
 * Holding a key of a StateTransport by a lease, for as long as somebody wants it.
 *
 * When does the holder consider the lease lost? By its own monotonic clock, nine tenths of the lease after it *sent* the last write
 * that succeeded. An observer counts the whole lease from when it *saw* that write, so the holder stops first, whatever the network
 * did. Until when is it renewed? No error ends it: a store that is away, full or refuses is asked again until `release` or `stop`.
 *
 * Whose is the value? Its holder's whose bytes (or mark, see `isOurs`) it has: give each holder its own. So a write whose answer was lost is found
 * again, and not taken for somebody else's.
 */
import type { Timer } from './clock.js';
import { EvenkeelError, isEvenkeelError } from './errors.js';
import { within } from './internal/within.js';
import type { Random } from './random.js';
import type { Runtime } from './runtime.js';
import type { PutOptions, StateEntry, StateTransport } from './transport/state.js';

export interface LeaseKeeperOptions {
  readonly state: StateTransport;
  readonly key: string;
  /** Unlike that of any other holder. A function is asked at each renewal, and `isOurs` then tells what it made from others' values. */
  readonly value: Uint8Array | (() => Uint8Array);
  /** Default: the same bytes. */
  readonly isOurs?: (value: Uint8Array) => boolean;
  /** Milliseconds; 100 to a day. */
  readonly leaseMs: number;
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'diagnostics'>;
  /**
   * What the first write does with a value that stands there already. `wait`: lets it stand until it is gone (an election).
   * `take-over`: replaces it (the restart of a process). Later on another's value is always left alone: two that take from each
   * other would never end.
   */
  readonly conflict: 'wait' | 'take-over';
  /** The lease is held from now on. `revision`: of the write that won it, a token that rises with each new holder. */
  readonly onHeld?: (revision: number) => void;
  /** It may belong to somebody else from now on. Called once for each `onHeld`, at the latest by `release`. */
  readonly onLost?: () => void;
}

/** Of the lease, counted from the sending of the last good write. */
const HELD_RATIO = 0.9;
const RENEW_RATIO = 1 / 3;
/** A store that is away for a third of the lease, hanging at that, costs: the wait for a renewal, itself, one request, one pause. */
const REQUEST_RATIO = 1 / 6;
const FIRST_PAUSE_RATIO = 1 / 100;
/** There is little time while the lease is held, and no hurry once it is lost. */
const HELD_PAUSE_RATIO = 1 / 20;
const RELEASE_ATTEMPTS = 3;

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #random: Random;
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;
  /** Of our value in the store, as far as we know. */
  #revision: number | undefined;
  /** We may take what stands there. */
  #mayTake: boolean;
  #isTold = false;
  #heldUntil = Number.NEGATIVE_INFINITY;
  #lossTimer: Timer | undefined;
  #failures = 0;
  #released: Promise<boolean> | undefined;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#random = options.runtime.random.fork(`lease ${options.key}`);
    this.#mayTake = options.conflict === 'take-over';
  }

  /**
   * Judged at the moment of asking: true only while no observer can have seen the lease run out. By this machine's monotonic clock: one
   * that slept, or was paused, does not know; what it then does is told apart by the revision alone.
   */
  get isHeld(): boolean {
    return this.#isTold && this.#options.runtime.clock.now() < this.#heldUntil;
  }

  start(): void {
    this.#loop ??= this.#keep();
  }

  /** Stops renewing and lets the lease run out by itself. Idempotent. */
  stop(): void {
    this.#stop.abort();
    this.#lose();
  }

  /**
   * Stops, and deletes the value if it is still ours. Resolves with false when the store could not be reached in some three request
   * timeouts: then the lease runs out by itself. Never rejects. Idempotent.
   */
  release(): Promise<boolean> {
    this.#released ??= this.#release();
    return this.#released;
  }

  async #keep(): Promise<void> {
    const { clock } = this.#options.runtime;
    while (!this.#stop.signal.aborted) {
      const pauseMs = await this.#turn();
      // A cancelled sleep means that the loop's condition has changed.
      await clock.sleep(pauseMs, this.#stop.signal).catch(() => {});
    }
  }

  /** One write; resolves with the milliseconds to the next. */
  async #turn(): Promise<number> {
    const { key, leaseMs, state, runtime } = this.#options;
    const expect = this.#revision ?? (this.#mayTake ? undefined : 'absent');
    const sentAt = runtime.clock.now();
    try {
      const value = this.#value();
      const put: PutOptions = expect === undefined ? { leaseMs } : { leaseMs, expect };
      const revision = await this.#request((signal) => state.put(key, value, { ...put, signal }));
      this.#failures = 0;
      this.#mayTake = false;
      this.#revision = revision;
      if (!this.#stop.signal.aborted) this.#hold(revision, sentAt);
      return leaseMs * RENEW_RATIO * this.#jitter();
    } catch (error) {
      this.#failures++;
      if (!isEvenkeelError(error, 'aborted')) {
        this.#report(error);
        return this.#pause();
      }
      return this.#settleConflict();
    }
  }

  /** The key is not as we thought: our own write, whose answer was lost; gone; or somebody else's. */
  async #settleConflict(): Promise<number> {
    const { key, state, leaseMs } = this.#options;
    let entry: StateEntry | undefined;
    try {
      entry = await this.#request((signal) => state.get(key, { signal }));
    } catch (error) {
      this.#report(error);
      return this.#pause();
    }
    this.#revision = this.#isOurs(entry) ? entry.revision : undefined;
    if (this.#revision === undefined) this.#lose();
    // Its holder renews it three times a lease; to look as often is to be the next soon after its end.
    if (entry !== undefined && this.#revision === undefined) return leaseMs * RENEW_RATIO * this.#jitter();
    return this.#failures === 1 ? 0 : this.#pause();
  }

  #isOurs(entry: StateEntry | undefined): entry is StateEntry {
    if (entry === undefined) return false;
    const { isOurs } = this.#options;
    return isOurs === undefined ? Buffer.compare(entry.value, this.#value()) === 0 : isOurs(entry.value);
  }

  #value(): Uint8Array {
    const { value } = this.#options;
    return typeof value === 'function' ? value() : value;
  }

  #hold(revision: number, sentAt: number): void {
    const { leaseMs, runtime, onHeld } = this.#options;
    const heldUntil = sentAt + leaseMs * HELD_RATIO;
    const now = runtime.clock.now();
    // The last one may have ended while its timer could not run, and observers have seen it end.
    if (this.#isTold && now >= this.#heldUntil) this.#lose();
    if (now >= heldUntil) return;
    this.#heldUntil = heldUntil;
    this.#lossTimer?.cancel();
    this.#lossTimer = runtime.clock.timer(heldUntil - now, () => this.#lose());
    if (this.#isTold) return;
    this.#isTold = true;
    this.#tell(() => onHeld?.(revision));
  }

  #lose(): void {
    this.#lossTimer?.cancel();
    this.#heldUntil = Number.NEGATIVE_INFINITY;
    if (!this.#isTold) return;
    this.#isTold = false;
    this.#tell(() => this.#options.onLost?.());
  }

  async #release(): Promise<boolean> {
    this.stop();
    // A write under way may land after a delete that did not wait for it.
    await this.#loop;
    if (this.#loop === undefined) return true;
    const { key, state, runtime } = this.#options;
    for (let attempt = 1; attempt <= RELEASE_ATTEMPTS; attempt++) {
      try {
        const entry = await this.#request((signal) => state.get(key, { signal }));
        if (!this.#isOurs(entry)) return true;
        const { revision } = entry;
        await this.#request((signal) => state.delete(key, { expect: revision, signal }));
        return true;
      } catch (error) {
        // Aborted: somebody changed it in between; the next look says who.
        if (!isEvenkeelError(error, 'aborted')) this.#report(error);
        if (attempt < RELEASE_ATTEMPTS) await runtime.clock.sleep(this.#pause(), undefined, true);
      }
    }
    return false;
  }

  /** A request that never settles must not outlive the lease. */
  #request<T>(send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { leaseMs, runtime } = this.#options;
    return within(runtime.clock, leaseMs * REQUEST_RATIO, send);
  }

  #pause(): number {
    const { leaseMs } = this.#options;
    const ms = leaseMs * FIRST_PAUSE_RATIO * 2 ** Math.min(this.#failures, 10);
    return Math.min(ms, leaseMs * (this.#isTold ? HELD_PAUSE_RATIO : RENEW_RATIO)) * this.#jitter();
  }

  /** 0.8 to 1: never later than meant. */
  #jitter(): number {
    return 0.8 + 0.2 * this.#random.next();
  }

  #report(error: unknown): void {
    this.#options.runtime.diagnostics.report(`lease ${this.#options.key}`, error);
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#report(new EvenkeelError('internal', 'a lease listener threw', { cause: error }));
    }
  }
}
