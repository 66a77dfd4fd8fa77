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
const EXPIRES_AT_ONCE = 64;

export class StateCopy implements StateSource {
  readonly #bucket: StateBucket;
  readonly #listeners = new Set<(change: StateChange) => void>();
  #follower: StreamFollower | undefined;
  #records = new Map<string, StateRecord>();
  /** While a list comes in. */
  #listing: Map<string, StateRecord> | undefined;
  #revision = 0;
  #epoch = '';
  #provenAtMs: number | undefined;
  #leaseTimer: Timer | undefined;

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
    const records = () => this.#records;
    this.#bucket.rememberAll(true);
    this.#follower = new StreamFollower(js, stream, allSubjects, {
      open: () => this.#bucket.open(),
      onList: () => {
        if (this.#epoch !== '' && this.#follower?.epoch !== this.#epoch) this.#bucket.forgetHistory();
        this.#listing = new Map();
      },
      onMessage: (message, seq) => this.#take(message, seq),
      onListed: () => this.#endList(),
      onProof: (atMs) => this.#onProof(atMs),
      get size() {
        return records().size;
      },
    });
  }

  #unfollow(): void {
    this.#follower?.close();
    this.#follower = undefined;
    this.#bucket.rememberAll(false);
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
      this.#bucket.seenMarkers.add(key, seq);
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
    this.#bucket.forgetMarkers(key);
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
    this.#bucket.sweep();
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
    const { leases, clock } = this.#bucket;
    const now = clock.now();
    while (this.#follower !== undefined) {
      const due: { key: string; revision: number }[] = [];
      for (let next = leases.takeDue(now); next !== undefined; next = leases.takeDue(now)) {
        due.push(next);
        if (due.length === EXPIRES_AT_ONCE) break;
      }
      if (due.length === 0) break;
      await Promise.all(due.map(({ key, revision }) => this.#expire(key, revision)));
    }
    this.#armLeases();
  }

  async #expire(key: string, revision: number): Promise<void> {
    const { leases, clock } = this.#bucket;
    try {
      await this.#bucket.mark(key, revision, true);
    } catch (error) {
      if (isEvenkeelError(error, 'aborted')) leases.forget(key);
      else leases.giveBack(key, revision, clock.now() + EXPIRE_AGAIN_MS);
    }
  }
}
