/**
 * A bucket as one process knows it: single documents asked for when nobody watches, a copy of all of them once somebody does.
 *
 * Who ends a lease? Servers before 2.11 ignore a time-to-live per key and none tells when a key expires, so the observers do it:
 * whoever sees a lease run out writes the marker of its end over exactly that revision. A renewal that came first makes the write
 * fail, and the marker gives every watch the same event at the same revision.
 *
 * Length: documents, leases and markers are the last messages of the same subjects; apart, each would need most of the others' state.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import type { StateChange, StateRecord, StateSource } from '../../core/internal/state-watch.js';
import { unlessAborted } from '../../core/internal/transport-guards.js';
import type { JetStream, StreamInfo } from './jetstream.js';
import { decodeKey, encodeKey } from './names.js';
import type { NatsMessage } from './peer.js';
import { StateLeases } from './state-leases.js';
import { StreamFollower } from './stream-follower.js';

export interface NatsStateBounds {
  readonly maxBytes: number;
  readonly replicas: number;
}

/** Beside the payload of a message: what the value cannot say. */
const OPERATION = 'KV-Operation';
const LEASE = 'Evenkeel-Lease-Ms';
const EXPIRED = 'Evenkeel-Expired';

/** Several observers see the same lease run out; the first to write spares the others the attempt. */
const EXPIRE_JITTER_MS = 150;
const EXPIRE_AGAIN_MS = 500;
/** Markers of deletes are swept once every watch has either seen them or must list anew: twice the time it may resume after. */
const SWEEP_AFTER_MS = 10 * 60_000;
const SWEEP_EVERY_MS = 60_000;
const MAX_RACES = 100;
/** Keys whose revision is remembered, so that a put over it needs no look first. */
const MAX_KNOWN = 4096;

/** The last word on a key. */
interface Last {
  readonly seq: number;
  /** Undefined for a marker. */
  readonly record: StateRecord | undefined;
}

export class NatsStateStore implements StateSource {
  readonly #js: JetStream;
  readonly #clock: Clock;
  readonly #bucket: string;
  readonly #stream: string;
  readonly #bounds: NatsStateBounds;
  readonly #leases = new StateLeases();
  readonly #listeners = new Set<(change: StateChange) => void>();
  readonly #known = new Map<string, number>();
  /** Deleted keys whose marker is still in the stream: its sequence, and when it was seen. */
  readonly #tombstones = new Map<string, { seq: number; seenAt: number }>();
  #ready: Promise<StreamInfo> | undefined;
  #follower: StreamFollower | undefined;
  #records = new Map<string, StateRecord>();
  /** While a list comes in. */
  #listing: Map<string, StateRecord> | undefined;
  #revision = 0;
  #epoch = '';
  #provenAtMs: number | undefined;
  #leaseTimer: Timer | undefined;
  #nextSweep = 0;

  constructor(js: JetStream, bucket: string, bounds: NatsStateBounds) {
    this.#js = js;
    this.#clock = js.link.clock;
    this.#bucket = bucket;
    this.#stream = `KV_${bucket}`;
    this.#bounds = bounds;
  }

  get epoch(): string {
    return this.#epoch;
  }

  get revision(): number {
    return this.#revision;
  }

  get provenAtMs(): number | undefined {
    return this.#provenAtMs;
  }

  list(prefix: string): StateRecord[] {
    const now = this.#clock.now();
    const found: StateRecord[] = [];
    for (const record of this.#records.values()) {
      if (record.key.startsWith(prefix) && !this.#leases.isOver(record.key, record.revision, now)) found.push(record);
    }
    return found.sort((a, b) => a.revision - b.revision);
  }

  /** From the first listener on the bucket is followed. */
  subscribe(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#follow();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#unfollow();
    };
  }

  async get(key: string, signal: AbortSignal | undefined): Promise<StateRecord | undefined> {
    await this.#opened(signal);
    return this.#noting(async () => (await this.#last(key, signal))?.record);
  }

  async put(
    key: string,
    value: Uint8Array,
    expect: number | 'absent' | undefined,
    leaseMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    await this.#opened(signal);
    return this.#noting(() => this.#put(key, value, expect, leaseMs, signal));
  }

  async delete(key: string, expect: number | undefined, signal: AbortSignal | undefined): Promise<number> {
    await this.#opened(signal);
    return this.#noting(() => this.#delete(key, expect, signal));
  }

  close(): void {
    this.#unfollow();
  }

  /** Where nobody answered the stream may be gone: the next operation makes it again. */
  async #noting<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      if (isEvenkeelError(error, 'unavailable')) this.#ready = undefined;
      throw error;
    }
  }

  async #put(
    key: string,
    value: Uint8Array,
    expect: number | 'absent' | undefined,
    leaseMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const headers = leaseMs === undefined ? [] : [LEASE, String(leaseMs)];
    if (typeof expect === 'number') {
      await this.#endIfOver(key, expect, signal);
      await this.#checkIsValue(key, expect, signal);
    }
    let last = expect === 'absent' ? 0 : expect;
    for (let race = 0; ; race++) {
      try {
        const expectation = last === undefined ? undefined : { stream: this.#stream, last };
        const options = { what: `put ${key}`, headers, expect: expectation, signal };
        const { seq } = await this.#js.publish(this.#subject(key), value, options);
        this.#leases.saw(key, seq, leaseMs, this.#clock.now());
        this.#know(key, seq);
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
        return await this.#mark(key, record.revision, false, signal);
      } catch (error) {
        if (!isEvenkeelError(error, 'aborted') || race >= MAX_RACES) throw error;
      }
    }
  }

  /** The stream is there. A failure is forgotten: the next operation tries again. */
  #opened(signal: AbortSignal | undefined): Promise<StreamInfo> {
    this.#ready ??= this.#open().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return unlessAborted(this.#ready, signal);
  }

  /** The same stream that `nats kv` and the kv package would make, so that both find the documents. */
  #open(): Promise<StreamInfo> {
    return this.#js.ensureStream({
      name: this.#stream,
      subjects: [`$KV.${this.#bucket}.>`],
      max_msgs_per_subject: 1,
      max_bytes: this.#bounds.maxBytes,
      num_replicas: this.#bounds.replicas,
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_direct: true,
    });
  }

  #subject(key: string): string {
    return `$KV.${this.#bucket}.${encodeKey(key)}`;
  }

  /** A document whose lease is over is ended on the way. */
  async #last(key: string, signal: AbortSignal | undefined): Promise<Last | undefined> {
    const message = await this.#js.message(this.#stream, { last_by_subj: this.#subject(key) }, { signal });
    if (message === undefined) return undefined;
    const { seq, data, header } = message;
    if (header(OPERATION) !== undefined) {
      return { seq, record: undefined };
    }
    const leaseMs = leaseIn(header(LEASE));
    this.#leases.saw(key, seq, leaseMs, this.#clock.now());
    if (await this.#endIfOver(key, seq, signal)) return this.#last(key, signal);
    this.#know(key, seq);
    return { seq, record: { key, value: data, revision: seq, leaseMs } };
  }

  /** The last message of a subject may be the marker of a delete: its sequence is no revision that a put can expect. */
  async #checkIsValue(key: string, revision: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#known.get(key) === revision || this.#records.get(key)?.revision === revision) return;
    const record = (await this.#last(key, signal))?.record;
    if (record?.revision !== revision) throw conflict(key, record?.revision ?? 0, revision);
  }

  /** True when the lease of that revision was over; by then its end is written. */
  async #endIfOver(key: string, revision: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (!this.#leases.isOver(key, revision, this.#clock.now())) return false;
    try {
      await this.#mark(key, revision, true, signal);
    } catch (error) {
      // Somebody ended it first, or the holder was in time after all.
      if (!isEvenkeelError(error, 'aborted')) throw error;
      this.#leases.forget(key);
    }
    return true;
  }

  async #mark(key: string, revision: number, isExpiry: boolean, signal: AbortSignal | undefined): Promise<number> {
    const headers = [OPERATION, 'DEL', ...(isExpiry ? [EXPIRED, '1'] : [])];
    const what = `${isExpiry ? 'expire' : 'delete'} ${key}`;
    const expect = { stream: this.#stream, last: revision };
    const { seq } = await this.#js.publish(this.#subject(key), '', { what, headers, expect, signal });
    this.#leases.forget(key);
    return seq;
  }

  /** A revision that this process knows to be a document's. */
  #know(key: string, revision: number): void {
    this.#known.delete(key);
    this.#known.set(key, revision);
    if (this.#known.size <= MAX_KNOWN) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }

  #follow(): void {
    const filter = `$KV.${this.#bucket}.>`;
    this.#follower = new StreamFollower(this.#js, this.#stream, filter, {
      open: () => this.#open(),
      onList: () => {
        // Sequences of another history say nothing of this one.
        if (this.#epoch !== '' && this.#follower?.epoch !== this.#epoch) this.#leases.clear();
        this.#listing = new Map();
        this.#tombstones.clear();
      },
      onMessage: (message, seq) => this.#take(message, seq),
      onListed: () => this.#endList(),
      onProof: (atMs) => this.#onProof(atMs),
    });
  }

  #unfollow(): void {
    this.#follower?.close();
    this.#follower = undefined;
    this.#leaseTimer?.cancel();
    this.#leaseTimer = undefined;
    this.#provenAtMs = undefined;
    this.#records.clear();
    this.#listing = undefined;
  }

  #take(message: NatsMessage, seq: number): void {
    if (this.#listing === undefined) this.#revision = seq;
    const key = decodeKey(message.subject.slice(`$KV.${this.#bucket}.`.length));
    if (key === undefined) return;
    const records = this.#listing ?? this.#records;
    const { headers } = message;
    if (headers?.get(OPERATION)) {
      this.#tombstones.set(key, { seq, seenAt: this.#clock.now() });
      const record = records.get(key);
      if (record === undefined) return;
      records.delete(key);
      this.#leases.forget(key);
      if (this.#listing === undefined) this.#tell({ type: headers.get(EXPIRED) ? 'expired' : 'delete', record, revision: seq });
      return;
    }
    const leaseMs = leaseIn(headers?.get(LEASE));
    const record: StateRecord = { key, value: new Uint8Array(message.data), revision: seq, leaseMs };
    records.set(key, record);
    this.#tombstones.delete(key);
    this.#leases.saw(key, seq, leaseMs, this.#clock.now());
    if (leaseMs !== undefined) this.#armLeases();
    if (this.#listing === undefined) this.#tell({ type: 'put', record, revision: seq });
  }

  #endList(): void {
    const epoch = this.#follower?.epoch ?? '';
    if (this.#epoch !== '' && epoch !== this.#epoch) this.#known.clear();
    this.#records = this.#listing ?? this.#records;
    this.#listing = undefined;
    this.#revision = this.#follower?.lastSeq ?? this.#revision;
    this.#epoch = epoch;
    // The first list waits for its proof.
    if (this.#provenAtMs !== undefined) this.#tell({ type: 'reset' });
  }

  #onProof(atMs: number): void {
    const isFirst = this.#provenAtMs === undefined;
    this.#provenAtMs = atMs;
    this.#revision = Math.max(this.#revision, this.#follower?.lastSeq ?? 0);
    if (isFirst) this.#tell({ type: 'reset' });
    this.#sweep();
  }

  #tell(change: StateChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** While the bucket is followed leases are ended when they run out, not when somebody asks. */
  #armLeases(): void {
    this.#leaseTimer?.cancel();
    this.#leaseTimer = undefined;
    const next = this.#leases.nextEndMs;
    if (next === undefined || this.#follower === undefined) return;
    const inMs = Math.max(0, next - this.#clock.now()) + EXPIRE_JITTER_MS * this.#js.link.random.next();
    this.#leaseTimer = this.#clock.timer(inMs, () => void this.#endDue());
  }

  async #endDue(): Promise<void> {
    const now = this.#clock.now();
    while (this.#follower !== undefined) {
      const due = this.#leases.takeDue(now);
      if (due === undefined) break;
      const { key, revision } = due;
      try {
        await this.#mark(key, revision, true, undefined);
      } catch (error) {
        if (isEvenkeelError(error, 'aborted')) this.#leases.forget(key);
        else this.#leases.giveBack(key, revision, this.#clock.now() + EXPIRE_AGAIN_MS);
      }
    }
    this.#armLeases();
  }

  /** A marker per key that ever was would outgrow the bucket. */
  #sweep(): void {
    const now = this.#clock.now();
    if (now < this.#nextSweep) return;
    this.#nextSweep = now + SWEEP_EVERY_MS * (0.5 + this.#js.link.random.next());
    for (const [key, { seq, seenAt }] of this.#tombstones) {
      if (now - seenAt < SWEEP_AFTER_MS) continue;
      this.#tombstones.delete(key);
      // Up to the marker: a value put since then stays.
      this.#js.purge(this.#stream, this.#subject(key), { seq: seq + 1 }).catch(() => {});
    }
  }
}

function leaseIn(text: string | undefined): number | undefined {
  const ms = Number(text);
  return text === undefined || text === '' || !(ms > 0) ? undefined : ms;
}

function conflict(key: string, revision: number, expect: number | 'absent' | undefined): EvenkeelError {
  return new EvenkeelError('aborted', `${key} is at revision ${revision}, not ${expect}`, { details: { key, revision, expect } });
}
