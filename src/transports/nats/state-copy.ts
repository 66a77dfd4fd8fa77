/** A copy of a bucket for those who watch: the list and every change behind it, current as far as it is proven. */
import type { Timer } from '../../core/clock.js';
import { isEvenkeelError } from '../../core/errors.js';
import type { StateChange, StateRecord, StateSource } from '../../core/internal/state-watch.js';
import type { NatsMessage } from './peer.js';
import { leaseIn, MARK, type StateBucket } from './state-bucket.js';
import { StreamFollower } from './stream-follower.js';

/** Several observers see the same lease run out; the first to write spares the others the attempt. */
const EXPIRE_JITTER_MS = 150;
const EXPIRE_AGAIN_MS = 500;
/** Markers of deletes are swept once every watch has either seen them or must list anew: twice the time it may resume after. */
const SWEEP_AFTER_MS = 10 * 60_000;
const SWEEP_EVERY_MS = 60_000;

export class StateCopy implements StateSource {
  readonly #bucket: StateBucket;
  readonly #listeners = new Set<(change: StateChange) => void>();
  /** Deleted keys whose marker is still in the stream: its sequence, and when it was seen. */
  readonly #tombstones = new Map<string, { seq: number; seenAt: number }>();
  #follower: StreamFollower | undefined;
  #records = new Map<string, StateRecord>();
  /** While a list comes in. */
  #listing: Map<string, StateRecord> | undefined;
  #revision = 0;
  #epoch = '';
  #provenAtMs: number | undefined;
  #leaseTimer: Timer | undefined;
  #nextSweep = 0;

  constructor(bucket: StateBucket) {
    this.#bucket = bucket;
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
    const now = this.#bucket.clock.now();
    const found: StateRecord[] = [];
    for (const record of this.#records.values()) {
      if (record.key.startsWith(prefix) && !this.#bucket.leases.isOver(record.key, record.revision, now)) found.push(record);
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

  holds(key: string, revision: number): boolean {
    return this.#records.get(key)?.revision === revision;
  }

  close(): void {
    this.#unfollow();
  }

  #follow(): void {
    const { js, stream, allSubjects } = this.#bucket;
    this.#follower = new StreamFollower(js, stream, allSubjects, {
      open: () => this.#bucket.open(),
      onList: () => {
        if (this.#epoch !== '' && this.#follower?.epoch !== this.#epoch) this.#bucket.forgetHistory();
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
    const key = this.#bucket.keyOf(message.subject);
    if (key === undefined) return;
    const records = this.#listing ?? this.#records;
    const { headers } = message;
    if (headers?.get(MARK.operation)) {
      this.#tombstones.set(key, { seq, seenAt: this.#bucket.clock.now() });
      const record = records.get(key);
      if (record === undefined) return;
      records.delete(key);
      this.#bucket.leases.forget(key);
      if (this.#listing === undefined)
        this.#tell({ type: headers.get(MARK.expired) ? 'expired' : 'delete', record, revision: seq });
      return;
    }
    const leaseMs = leaseIn(headers?.get(MARK.lease));
    const record: StateRecord = { key, value: new Uint8Array(message.data), revision: seq, leaseMs };
    records.set(key, record);
    this.#tombstones.delete(key);
    this.#bucket.leases.saw(key, seq, leaseMs, this.#bucket.clock.now());
    if (leaseMs !== undefined) this.#armLeases();
    if (this.#listing === undefined) this.#tell({ type: 'put', record, revision: seq });
  }

  #endList(): void {
    this.#records = this.#listing ?? this.#records;
    this.#listing = undefined;
    this.#revision = this.#follower?.lastSeq ?? this.#revision;
    this.#epoch = this.#follower?.epoch ?? '';
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
    const next = this.#bucket.leases.nextEndMs;
    if (next === undefined || this.#follower === undefined) return;
    const inMs = Math.max(0, next - this.#bucket.clock.now()) + EXPIRE_JITTER_MS * this.#bucket.js.link.random.next();
    this.#leaseTimer = this.#bucket.clock.timer(inMs, () => void this.#endDue());
  }

  async #endDue(): Promise<void> {
    const now = this.#bucket.clock.now();
    while (this.#follower !== undefined) {
      const due = this.#bucket.leases.takeDue(now);
      if (due === undefined) break;
      const { key, revision } = due;
      try {
        await this.#bucket.mark(key, revision, true);
      } catch (error) {
        if (isEvenkeelError(error, 'aborted')) this.#bucket.leases.forget(key);
        else this.#bucket.leases.giveBack(key, revision, this.#bucket.clock.now() + EXPIRE_AGAIN_MS);
      }
    }
    this.#armLeases();
  }

  /** A marker per key that ever was would outgrow the bucket. */
  #sweep(): void {
    const now = this.#bucket.clock.now();
    if (now < this.#nextSweep) return;
    this.#nextSweep = now + SWEEP_EVERY_MS * (0.5 + this.#bucket.js.link.random.next());
    for (const [key, { seq, seenAt }] of this.#tombstones) {
      if (now - seenAt < SWEEP_AFTER_MS) continue;
      this.#tombstones.delete(key);
      // Up to the marker: a value put since then stays.
      this.#bucket.js.purge(this.#bucket.stream, this.#bucket.subjectOf(key), { seq: seq + 1 }).catch(() => {});
    }
  }
}
