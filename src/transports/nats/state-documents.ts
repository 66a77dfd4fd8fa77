/** Single documents of a bucket, asked for and compared on the server. */
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import type { StateRecord } from '../../core/internal/state-watch.js';
import { leaseIn, MARK, type StateBucket } from './state-bucket.js';

const MAX_RACES = 100;

/** The last word on a key. */
interface Last {
  readonly seq: number;
  /** Undefined for a marker. */
  readonly record: StateRecord | undefined;
}

export class StateDocuments {
  readonly #bucket: StateBucket;
  /** Whether a copy has that revision of the key. */
  readonly #isHeld: (key: string, revision: number) => boolean;

  constructor(bucket: StateBucket, isHeld: (key: string, revision: number) => boolean) {
    this.#bucket = bucket;
    this.#isHeld = isHeld;
  }

  get(key: string, signal: AbortSignal | undefined): Promise<StateRecord | undefined> {
    return this.#bucket.use(signal, async () => (await this.#last(key, signal))?.record);
  }

  put(
    key: string,
    value: Uint8Array,
    expect: number | 'absent' | undefined,
    leaseMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    return this.#bucket.use(signal, () => this.#put(key, value, expect, leaseMs, signal));
  }

  delete(key: string, expect: number | undefined, signal: AbortSignal | undefined): Promise<number> {
    return this.#bucket.use(signal, () => this.#delete(key, expect, signal));
  }

  async #put(
    key: string,
    value: Uint8Array,
    expect: number | 'absent' | undefined,
    leaseMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const headers = leaseMs === undefined ? [] : [MARK.lease, String(leaseMs)];
    if (typeof expect === 'number') {
      await this.#endIfOver(key, expect, signal);
      await this.#checkIsValue(key, expect, signal);
    }
    let last = expect === 'absent' ? 0 : expect;
    for (let race = 0; ; race++) {
      try {
        const options = { what: `put ${key}`, stream: this.#bucket.stream, headers, expect: last, signal };
        const { seq } = await this.#bucket.js.publish(this.#bucket.subjectOf(key), value, options);
        this.#bucket.leases.saw(key, seq, leaseMs, this.#bucket.clock.now());
        this.#bucket.know(key, seq);
        this.#bucket.forgetMarkers(key);
        return seq;
      } catch (error) {
        if (!isEvenkeelError(error, 'aborted')) throw error;
        const found = await this.#last(key, signal);
        // A marker of a delete stands where nothing should be: that is absence, too.
        if (expect !== 'absent' || found?.record !== undefined || race >= MAX_RACES)
          throw conflict(key, found?.record?.revision ?? 0, expect);
        last = found?.seq ?? 0;
      }
    }
  }

  async #delete(key: string, expect: number | undefined, signal: AbortSignal | undefined): Promise<number> {
    for (let race = 0; ; race++) {
      const record = (await this.#last(key, signal))?.record;
      if (expect !== undefined && expect !== record?.revision) throw conflict(key, record?.revision ?? 0, expect);
      if (record === undefined) return 0;
      try {
        return await this.#bucket.mark(key, record.revision, false, signal);
      } catch (error) {
        if (!isEvenkeelError(error, 'aborted') || race >= MAX_RACES) throw error;
      }
    }
  }

  /** A document whose lease is over is ended on the way. */
  async #last(key: string, signal: AbortSignal | undefined): Promise<Last | undefined> {
    const message = await this.#bucket.js.message(this.#bucket.stream, { last_by_subj: this.#bucket.subjectOf(key) }, { signal });
    if (message === undefined) return undefined;
    const { seq, data, header } = message;
    if (header(MARK.operation) !== undefined) {
      this.#bucket.seenMarkers.add(key, seq);
      return { seq, record: undefined };
    }
    const leaseMs = leaseIn(header(MARK.lease));
    this.#bucket.leases.saw(key, seq, leaseMs, this.#bucket.clock.now());
    if (await this.#endIfOver(key, seq, signal)) return this.#last(key, signal);
    this.#bucket.know(key, seq);
    return { seq, record: { key, value: data, revision: seq, leaseMs } };
  }

  /** The last message of a subject may be the marker of a delete: its sequence is no revision that a put can expect. */
  async #checkIsValue(key: string, revision: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#bucket.isKnown(key, revision) || this.#isHeld(key, revision)) return;
    const record = (await this.#last(key, signal))?.record;
    if (record?.revision !== revision) throw conflict(key, record?.revision ?? 0, revision);
  }

  /** True when the lease of that revision was over; by then its end is written. */
  async #endIfOver(key: string, revision: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (!this.#bucket.leases.isOver(key, revision, this.#bucket.clock.now())) return false;
    try {
      await this.#bucket.mark(key, revision, true, signal);
    } catch (error) {
      // Somebody ended it first, or the holder was in time after all.
      if (!isEvenkeelError(error, 'aborted')) throw error;
      this.#bucket.leases.forget(key);
    }
    return true;
  }
}

function conflict(key: string, revision: number, expect: number | 'absent' | undefined): EvenkeelError {
  return new EvenkeelError('aborted', `${key} is at revision ${revision}, not ${expect}`, { details: { key, revision, expect } });
}
