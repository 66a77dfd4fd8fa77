/**
 * This process's part of a quota that several share through a store, and that outlives the store.
 *
 * Why do they never use more than the quota together? Each tells, in a document of its own, what it holds: at least its limit, and at least what is in
 * flight. It goes down at once and tells afterwards. It goes up the other way round: it tells what it is due, and of that takes what the quota leaves beside
 * all that the others told, as the watch shows it together with that very document. Of two that want the same unit the store's order of writes decides.
 * So at any moment the sum of what is in flight is at most the quota, while all reach the store; a call heavier than its share runs alone, on top.
 *
 * And when they do not? Who cannot write, or hears nothing, keeps its share as it is. If all are cut off, all do, and the sum stays. What one
 * holds that is cut off alone goes to the others after its lease: then the sum exceeds the quota by the shares of those, and by `fallback` for each that
 * started without the store, until they are back, for about a period. After any trouble nobody goes up for one lease: others may have been cut off
 * too, and not have told yet what they hold.
 */
import type { Timer } from '../core/clock.js';
import { isEvenkeelError } from '../core/errors.js';
import { within } from '../core/internal/within.js';
import { type Random, randomId } from '../core/random.js';
import type { Runtime } from '../core/runtime.js';
import type { StateEvent, Watch } from '../core/transport/state.js';
import { decodeShare, encodeShare, type ShareDocument } from './share-document.js';
import type { ShareSettings, ShareSnapshot, ShareState } from './share-options.js';
import { ShareTable } from './share-table.js';
import { splitQuota } from './split-quota.js';

export interface ShareOwner {
  /** In units of the limit; asked four times a period. */
  demand(): number;
  /** Weight in flight. */
  weight(): number;
  onShare(share: number): void;
  onState(state: ShareState): void;
}

/** Looks a period. */
const TICKS = 4;
/** Writes are apart by a period and at most so much of one, so that instances do not keep step. */
const JITTER = 0.1;
/** A renewal may fail twice before the lease is over. */
const RENEWALS = 3;
const REQUEST_RATIO = 1 / 6;
/** Of a lease without a good write: then others may count it out. */
const SILENCE_RATIO = 0.9;
/** A written document that the watch has not shown for so many periods: the watch is deaf. */
const DEAF_PERIODS = 2;
/** Demand is told anew when it changed by more than this share of itself, and a unit at least. */
const NOTABLE = 0.1;

export class QuotaShare {
  readonly #settings: ShareSettings;
  readonly #owner: ShareOwner;
  readonly #runtime: Runtime;
  readonly #random: Random;
  readonly #table = new ShareTable();
  #holder: string;
  #key: string;
  #watch: Watch | undefined;
  #timer: Timer | undefined;
  #isClosed = false;
  #state: ShareState = 'starting';
  /** In force. */
  #share = 0;
  #quota: number;
  /** What it tells that it wants to hold; above the share while that is not its own yet. */
  #claim = 0;
  #seq = 0;
  /** Of our document in the store, as far as we know. */
  #revision: number | undefined;
  #told: ShareDocument | undefined;
  #starved = 0;
  #demand = 0;
  /** The others have left it something once: that outlives the store. */
  #hadShare = false;
  #writing: Promise<void> | undefined;
  #nextWriteAtMs = Number.NEGATIVE_INFINITY;
  /** Sending of the last write that succeeded, and of the first that the watch has not shown since. */
  #goodAtMs = Number.NEGATIVE_INFINITY;
  #unseenAtMs = Number.POSITIVE_INFINITY;
  #watchedAtMs = Number.NEGATIVE_INFINITY;
  #settledAtMs = Number.NEGATIVE_INFINITY;
  readonly #startedAtMs: number;

  constructor(settings: ShareSettings, runtime: Runtime, owner: ShareOwner) {
    this.#settings = settings;
    this.#owner = owner;
    this.#runtime = runtime;
    this.#quota = settings.quota;
    // Not forked: two limiters of one runtime are two holders.
    this.#holder = randomId(runtime.random);
    this.#key = this.#keyOf(this.#holder);
    this.#random = runtime.random.fork(`share ${this.#holder}`);
    this.#startedAtMs = runtime.clock.now();
  }

  start(): void {
    this.#tick();
  }

  /** Gives the share back. A store that does not answer lets the lease run out. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#watch?.close();
    if (this.#state !== 'shared') return;
    // A write under way would land after a delete that did not wait for it.
    await this.#writing;
    const { leaseMs, state } = this.#settings;
    const send = (signal: AbortSignal) => state.delete(this.#key, { signal });
    await within(this.#runtime.clock, leaseMs * REQUEST_RATIO, send).catch((error) => this.#report(error));
  }

  snapshot(): ShareSnapshot {
    const others = this.#table.documents.size - (this.#table.documents.has(this.#key) ? 1 : 0);
    return {
      state: this.#state,
      share: this.#share,
      quota: this.#quota,
      instances: others + 1,
      demand: this.#told?.demand ?? 0,
      malformed: this.#table.malformed,
    };
  }

  readonly #tick = (): void => {
    if (this.#isClosed) return;
    const now = this.#runtime.clock.now();
    this.#timer = this.#runtime.clock.timer(this.#settings.everyMs / TICKS, this.#tick);
    this.#demand = this.#owner.demand();
    this.#listen(now);
    this.#consider(now);
    this.#writeIfDue(now);
  };

  /** Opens the watch, anew when it has gone deaf. */
  #listen(now: number): void {
    const { everyMs, key, state } = this.#settings;
    if (this.#watch !== undefined && !this.#isDeaf(now)) return;
    if (now - this.#watchedAtMs < DEAF_PERIODS * everyMs) return;
    if (this.#watch !== undefined) this.#settle(now);
    this.#watch?.close();
    this.#watch = undefined;
    this.#watchedAtMs = now;
    this.#table.reset();
    try {
      this.#watch = state.watch(`${key}/`, this.#onEvent);
    } catch (error) {
      this.#settle(now);
      this.#report(error);
    }
  }

  readonly #onEvent = (event: StateEvent): void => {
    if (this.#isClosed) return;
    const now = this.#runtime.clock.now();
    const before = this.#table.documents.get(this.#key);
    if (event.type === 'reset' && this.#table.isSynced) this.#settle(now);
    this.#table.apply(event);
    if (event.type === 'head' || !this.#table.isSynced) return;
    const own = this.#table.documents.get(this.#key);
    if (event.type === 'synced' && own === undefined) this.#revision = undefined;
    if (event.entry?.key === this.#key) this.#onOwn(event, now);
    const isNews = own !== undefined && own !== before && own.seq === this.#told?.seq;
    if (isNews) this.#unseenAtMs = Number.POSITIVE_INFINITY;
    this.#consider(now);
    this.#writeIfDue(now);
  };

  #onOwn({ type, revision }: StateEvent, now: number): void {
    if (type === 'put') {
      // Somebody else's is found out by the next write.
      if (this.#table.documents.get(this.#key)?.holder === this.#holder) this.#revision = Math.max(this.#revision ?? 0, revision);
    } else if (revision > (this.#revision ?? 0)) {
      // Others have seen it end.
      this.#revision = undefined;
      this.#settle(now);
    }
  }

  #consider(now: number): void {
    this.#changeState(now);
    if (this.#state !== 'shared') return;
    const own = this.#table.documents.get(this.#key);
    const others = [...this.#table.documents].filter(([key]) => key !== this.#key);
    this.#quota = others.reduce((least, [, { quota }]) => Math.min(least, quota), this.#settings.quota);
    const demands = others.map(([id, { demand, holds, starved }]) => ({ id, demand, holds, starved }));
    const dueFor = (demand: number) => {
      const mine = { id: this.#key, demand, holds: own?.holds ?? 0, starved: own?.starved ?? 0 };
      return splitQuota(this.#quota, [...demands, mine]).at(-1) as number;
    };
    // Nothing is given up that the others have not been told of: they would not know that they may have it.
    const due = dueFor(own?.demand ?? this.#demand);
    if (due < this.#share) this.#take(due);
    const mayGrow = now >= this.#settledAtMs;
    this.#claim = mayGrow ? Math.max(this.#isDemandNews() ? dueFor(this.#demand) : due, this.#share) : this.#share;
    // An older document of ours may promise more than the one that is on its way.
    if (!mayGrow || own === undefined || own.seq !== this.#told?.seq) return;
    const held = others.reduce((sum, [, { holds }]) => sum + holds, 0);
    const free = Math.min(due, own.holds, this.#quota - held);
    if (free > this.#share) this.#take(free);
  }

  #take(share: number): void {
    if (share === this.#share) return;
    this.#share = share;
    if (this.#state === 'shared') this.#hadShare = true;
    this.#owner.onShare(share);
  }

  #changeState(now: number): void {
    const { everyMs, fallback } = this.#settings;
    let next: ShareState = this.#hadShare ? 'kept' : this.#state;
    if (this.#isConnected(now)) next = 'shared';
    else if (!this.#hadShare && now - this.#startedAtMs >= everyMs) next = 'fallback';
    if (next === this.#state) return;
    const from = this.#state;
    this.#state = next;
    // Those who started without the store may not have told yet what they hold.
    if (from === 'fallback' || from === 'kept') this.#settle(now);
    if (next === 'fallback') this.#take(fallback);
    if (next !== 'shared') this.#claim = this.#share;
    this.#owner.onState(next);
  }

  #isConnected(now: number): boolean {
    const { everyMs, leaseMs } = this.#settings;
    if (this.#watch === undefined || !this.#table.isSynced || this.#isDeaf(now)) return false;
    if (this.#watch.ageMs > leaseMs) return false;
    // The first write has its time, too.
    if (this.#goodAtMs === Number.NEGATIVE_INFINITY) return now - this.#startedAtMs < everyMs;
    return now - this.#goodAtMs < leaseMs * SILENCE_RATIO;
  }

  #isDeaf(now: number): boolean {
    return now - this.#unseenAtMs > DEAF_PERIODS * this.#settings.everyMs;
  }

  /** Nobody goes up for a lease from now on. */
  #settle(now: number): void {
    this.#settledAtMs = now + this.#settings.leaseMs;
  }

  #document(): ShareDocument {
    const holds = Math.max(this.#claim, this.#share, Math.ceil(this.#owner.weight() - 1e-9));
    const { quota } = this.#settings;
    return { holder: this.#holder, seq: this.#seq, quota, demand: this.#demand, holds, starved: this.#starved };
  }

  #writeIfDue(now: number): void {
    if (this.#writing !== undefined || this.#isClosed || now < this.#nextWriteAtMs) return;
    const { everyMs, leaseMs } = this.#settings;
    // What it can claim is known with the list.
    const isEarly = !this.#table.isSynced && this.#told === undefined && now - this.#startedAtMs < everyMs;
    if (isEarly) return;
    const isDue = now - this.#goodAtMs >= leaseMs / RENEWALS || this.#revision === undefined;
    if (!isDue && !this.#hasNews()) return;
    this.#nextWriteAtMs = now + everyMs * (1 + JITTER * this.#random.next());
    this.#writing = this.#write(now).then(() => {
      this.#writing = undefined;
    });
  }

  async #write(now: number): Promise<void> {
    const { leaseMs, state } = this.#settings;
    this.#starved = this.#share === 0 && this.#demand > 0 ? this.#starved + 1 : 0;
    this.#seq++;
    const document = this.#document();
    this.#told = document;
    const expect = this.#revision ?? 'absent';
    try {
      const put = (signal: AbortSignal) => state.put(this.#key, encodeShare(document), { expect, leaseMs, signal });
      const revision = await within(this.#runtime.clock, leaseMs * REQUEST_RATIO, put);
      this.#goodAtMs = now;
      this.#revision = Math.max(this.#revision ?? 0, revision);
      const isSeen = this.#table.documents.get(this.#key)?.seq === document.seq;
      if (!isSeen) this.#unseenAtMs = Math.min(this.#unseenAtMs, now);
    } catch (error) {
      this.#settle(this.#runtime.clock.now());
      if (isEvenkeelError(error, 'aborted')) await this.#reconcile();
      else this.#report(error);
    }
  }

  #hasNews(): boolean {
    const { holds, starved } = this.#told ?? { holds: -1, starved: 0 };
    return this.#document().holds !== holds || starved > 0 || this.#isDemandNews();
  }

  #isDemandNews(): boolean {
    const demand = this.#told?.demand ?? 0;
    return Math.abs(this.#demand - demand) >= Math.max(1, NOTABLE * demand);
  }

  /** Our document is not as we thought: a write whose answer was lost has landed; it is gone; or it is another's of the same name and holder. */
  async #reconcile(): Promise<void> {
    const { leaseMs, state } = this.#settings;
    try {
      const get = (signal: AbortSignal) => state.get(this.#key, { signal });
      const entry = await within(this.#runtime.clock, leaseMs * REQUEST_RATIO, get);
      this.#revision = entry?.revision;
      if (entry === undefined || decodeShare(entry.value)?.holder === this.#holder) return;
      this.#revision = undefined;
      this.#holder = randomId(this.#random);
      this.#key = this.#keyOf(this.#holder);
    } catch (error) {
      this.#report(error);
    }
  }

  #keyOf(holder: string): string {
    return `${this.#settings.key}/${this.#settings.instance}-${holder}`;
  }

  #report(error: unknown): void {
    this.#runtime.diagnostics.report(`share ${this.#settings.key}`, error);
  }
}
