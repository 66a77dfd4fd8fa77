/**
 * A bucket of documents: its stream, the marks that messages bear, and what this process knows of leases and revisions.
 *
 * Who ends a lease? Servers before 2.11 ignore a time-to-live per key and none tells when a key expires, so the observers do it:
 * whoever sees a lease run out writes the marker of its end over exactly that revision. A renewal that came first makes the write
 * fail, and the marker gives every watch the same event at the same revision.
 */
import type { Clock } from '../../core/clock.js';
import type { JetStream, StreamInfo } from './jetstream.js';
import { decodeKey, encodeKey } from './names.js';
import { OpenedStream } from './opened-stream.js';
import { MAX_REMEMBERED, StateLeases } from './state-leases.js';
import { StateTombstones, type StoredMarkers } from './state-tombstones.js';

export interface NatsStateBounds {
  readonly maxBytes: number;
  readonly replicas: number;
}

/** Beside the payload of a message: what the value cannot say. */
export const MARK = { operation: 'KV-Operation', lease: 'Evenkeel-Lease-Ms', expired: 'Evenkeel-Expired' } as const;

/** Keys whose revision is remembered, so that a put over it needs no look first. */
const MAX_KNOWN = 4096;

export class StateBucket implements StoredMarkers {
  readonly js: JetStream;
  readonly clock: Clock;
  readonly stream: string;
  readonly leases = new StateLeases();
  readonly writtenMarkers: StateTombstones;
  readonly seenMarkers: StateTombstones;
  readonly #name: string;
  readonly #bounds: NatsStateBounds;
  readonly #known = new Map<string, number>();
  readonly #opened: OpenedStream;

  constructor(js: JetStream, name: string, bounds: NatsStateBounds) {
    this.js = js;
    this.clock = js.link.clock;
    this.#name = name;
    this.stream = `KV_${name}`;
    this.#bounds = bounds;
    this.writtenMarkers = new StateTombstones('written', js.link, this);
    this.seenMarkers = new StateTombstones('seen', js.link, this);
    this.#opened = new OpenedStream(
      () => this.open(),
      () => this.forgetHistory(),
    );
  }

  /** The same stream that `nats kv` and the kv package would make, so that both find the documents. */
  open(): Promise<StreamInfo> {
    return this.js.ensureStream({
      name: this.stream,
      subjects: [this.allSubjects],
      max_msgs_per_subject: 1,
      max_bytes: this.#bounds.maxBytes,
      num_replicas: this.#bounds.replicas,
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_direct: true,
    });
  }

  /** Runs on a stream that is there. */
  use<T>(signal: AbortSignal | undefined, operation: () => Promise<T>): Promise<T> {
    this.sweep();
    return this.#opened.use(signal, operation);
  }

  get allSubjects(): string {
    return `$KV.${this.#name}.>`;
  }

  subjectOf(key: string): string {
    return `$KV.${this.#name}.${encodeKey(key)}`;
  }

  /** Undefined for a subject that no key has. */
  keyOf(subject: string): string | undefined {
    return decodeKey(subject.slice(this.allSubjects.length - 1));
  }

  /**
   * Writes the marker of a delete, or of a lease's end, over exactly that revision.
   * @throws {EvenkeelError} `aborted` when it is not the key's last.
   */
  async mark(key: string, revision: number, isExpiry: boolean, signal?: AbortSignal): Promise<number> {
    const headers = [MARK.operation, 'DEL', ...(isExpiry ? [MARK.expired, '1'] : [])];
    const what = `${isExpiry ? 'expire' : 'delete'} ${key}`;
    const { stream } = this;
    const { seq } = await this.js.publish(this.subjectOf(key), '', { what, stream, headers, expect: revision, signal });
    this.leases.forget(key);
    this.writtenMarkers.add(key, seq);
    return seq;
  }

  /** Removes markers of deletes that are old enough. */
  sweep(): void {
    this.writtenMarkers.sweep();
    this.seenMarkers.sweep();
  }

  /** A value put since then stays. */
  async purge(key: string, seq: number): Promise<void> {
    await this.js.purge(this.stream, this.subjectOf(key), { seq: seq + 1 });
  }

  async has(seq: number): Promise<boolean> {
    return (await this.js.message(this.stream, { seq })) !== undefined;
  }

  /** The key has a value. */
  forgetMarkers(key: string): void {
    this.writtenMarkers.forget(key);
    this.seenMarkers.forget(key);
  }

  /** Whether all of the bucket's leases and markers are remembered, as those who hold a copy do, or the newest. */
  rememberAll(isOn: boolean): void {
    this.leases.limit = isOn ? Number.POSITIVE_INFINITY : MAX_REMEMBERED;
    this.seenMarkers.limit = this.leases.limit;
  }

  isKnown(key: string, revision: number): boolean {
    return this.#known.get(key) === revision;
  }

  /** A revision that this process knows to be a document's. */
  know(key: string, revision: number): void {
    this.#known.delete(key);
    this.#known.set(key, revision);
    if (this.#known.size <= MAX_KNOWN) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }

  /** Revisions of another history say nothing of this one. */
  forgetHistory(): void {
    this.leases.clear();
    this.writtenMarkers.clear();
    this.seenMarkers.clear();
    this.#known.clear();
  }
}

/** Milliseconds of the header, where it says any. */
export function leaseIn(text: string | undefined): number | undefined {
  const ms = Number(text);
  return text === undefined || text === '' || !(ms > 0) ? undefined : ms;
}
