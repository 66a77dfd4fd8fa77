/**
 * Admits, queues and refuses: the gate of a limiter, without promises. The number it holds to comes from a {@link Limit}.
 *
 * When is a call in flight? From its permit to the end of that permit. What waits in the queue is not. The weight in flight exceeds the limit in
 * three cases: a call heavier than the whole limit runs when it is alone, or it could never run; a permit is made heavier; the limit falls. Under a
 * limit of 0, which only a share of a quota can be, nothing runs.
 *
 * Length: admission, the end of a call and whose turn it is are one state.
 */
import type { Clock } from '../core/clock.js';
import type { Outcome, WorkCounter } from '../core/load-counter.js';
import { TimerWheel } from '../core/timer-wheel.js';
import { AdmissionLevel } from './admission-level.js';
import type { GateOptions } from './gate-options.js';
import { LimitHistory } from './limit-history.js';
import type { Limit, LimitWindow } from './limits/limit.js';
import type { QueueSettings } from './options.js';
import type { Partitions } from './partitions.js';
import { calmWaitMs, overloadWaitMs } from './queue-patience.js';
import { isForLackOfRoom, REFUSAL_NAMES, type Refusal } from './refusal.js';
import { WaitQueue } from './wait-queue.js';
import type { Claim, Waiter } from './waiter.js';
import { WindowMeter } from './window-meter.js';

/** Rounding of sums of weights. */
const EPSILON = 1e-9;
const RANKS = 4;
const REFUSAL_INDEX = Object.fromEntries(REFUSAL_NAMES.map((name, index) => [name, index])) as Readonly<Record<Refusal, number>>;

export class Gate {
  readonly counter: WorkCounter;
  readonly meter: WindowMeter;
  readonly history: LimitHistory;
  readonly level: AdmissionLevel;
  readonly partitions: Partitions;
  /** Refusals by reason and, within it, by rank of criticality. */
  readonly refusals = new Float64Array(REFUSAL_NAMES.length * RANKS);
  readonly admissions = new Float64Array(RANKS);
  /** In force. */
  limit: number;
  /** Calls with a permit and their weight: this gate's own, should another count under the same name. */
  inFlight = 0;
  weight = 0;
  /** Of those that wait. */
  queuedWeight = 0;
  /** Of the call that began last: when, and whether it is timed. Fields, and no result: a number that is returned may cost an object. */
  startedAt = 0;
  isTimed = false;
  /** Somebody wants to hear of room. */
  isAwaited = false;
  readonly #clock: Clock;
  readonly #calculator: Limit;
  /** The limit wants to know of times without a call. */
  readonly #isForgetful: boolean;
  /** When a call ended last, where that matters: this gate's own, should another count under the same name. 0: none did. */
  #endedAtMs = 0;
  readonly #queue: WaitQueue;
  readonly #settings: QueueSettings;
  readonly #wheel: TimerWheel;
  readonly #onError: (error: unknown) => void;
  readonly #onLimit: () => void;
  readonly #onRoom: () => void;
  readonly #onRefused: (refusal: Refusal, rank: number) => void;
  readonly #onWaited: ((ms: number) => void) | undefined;
  /** What of the counter's capacity is this gate's: of limiters of one name the board tells the sum. */
  #told = 0;
  #isPumping = false;
  #hasRoomAgain = false;

  constructor(options: GateOptions) {
    const { clock, counter, limit, partitions } = options;
    this.counter = counter;
    this.partitions = partitions;
    this.limit = limit.initial;
    this.meter = new WindowMeter(clock, limit);
    this.history = new LimitHistory(clock, limit.initial);
    this.level = new AdmissionLevel(clock, options.random);
    this.#clock = clock;
    this.#calculator = limit;
    this.#isForgetful = limit.afterIdle !== undefined;
    this.#queue = new WaitQueue(partitions.count);
    this.#settings = options.queue;
    this.#wheel = new TimerWheel(clock, options.onError, WHEEL_TICK_MS);
    this.#onError = options.onError;
    this.#onLimit = options.onLimit;
    this.#onRoom = options.onRoom;
    this.#onRefused = options.onRefused;
    this.#onWaited = options.onWaited;
    this.#tell(capacityOf(limit.initial));
  }

  get queued(): number {
    return this.#queue.size;
  }

  get isIdle(): boolean {
    return this.inFlight === 0 && this.#queue.size === 0;
  }

  /** Why a call is refused whether there is room or not. To be asked once a call: arrivals are counted. */
  turnsAway({ cohort, deadline, partition, rank, weight }: Claim): Refusal | undefined {
    if (deadline !== Number.POSITIVE_INFINITY && deadline <= this.#clock.now()) return 'deadline';
    if (this.level.admits(rank, cohort)) return undefined;
    // One level for all: whoever is below its share is none of those who are too many.
    return this.partitions.isSure(partition, weight, this.limit) ? undefined : 'level';
  }

  /** A permit would be had at once. */
  hasRoom(weight: number): boolean {
    return this.#queue.size === 0 && this.#fits(weight);
  }

  /** The most critical rank that is under an overload, with all that are less critical: the queue of those up to it never empties. */
  #overloadedRank(now: number): number {
    return this.#queue.busyRank(now - calmWaitMs(this.#settings, this.meter));
  }

  /** Counts the weight as in flight, unasked. `startedAt` says when it began, and `isTimed` how exactly. */
  begin(weight: number, partition: number, rank: number): void {
    if (this.#isForgetful && this.inFlight === 0) this.#wakeUp();
    this.inFlight++;
    this.weight += weight;
    this.counter.enter(weight);
    this.level.onServed();
    this.admissions[rank] = (this.admissions[rank] as number) + 1;
    if (this.partitions.isSplit) this.partitions.add(partition, weight);
    this.isTimed = this.meter.begin(this.weight);
    // Asked for in any case, or V8 sees it too seldom to inline it; and the plus says that both are numbers. Else each costs an object.
    const coarse = this.#clock.coarse();
    this.startedAt = this.isTimed ? +this.#clock.now() : coarse;
  }

  reweigh(from: number, to: number, partition: number): void {
    this.weight += to - from;
    this.counter.adjust(to - from);
    if (this.partitions.isSplit) this.partitions.add(partition, to - from);
    if (to < from) this.#pump();
  }

  /** `retryAfterMs`: what a call that was dropped was asked to wait. */
  end(outcome: Outcome, weight: number, partition: number, startedAt: number, isTimed: boolean, retryAfterMs = 0): void {
    this.startedAt = startedAt;
    this.finish(outcome, weight, partition, isTimed, retryAfterMs);
  }

  /** `end` of the call that began at `startedAt`, the field: a number that is no small integer costs an object as an argument, too. */
  finish(outcome: Outcome, weight: number, partition: number, isTimed: boolean, retryAfterMs: number): void {
    const { meter, startedAt } = this;
    const found = this.weight;
    const coarse = this.#clock.coarse();
    const now = isTimed ? +this.#clock.now() : coarse;
    this.inFlight--;
    // Sums of fractions drift; an idle gate reads exactly 0.
    this.weight = this.inFlight === 0 ? 0 : found - weight;
    if (this.#isForgetful) this.#endedAtMs = now;
    this.counter.beganAt = startedAt;
    this.counter.endedAt = now;
    this.counter.leaveAt(weight, outcome);
    if (this.partitions.isSplit) this.partitions.add(partition, -weight);
    // A call that failed or was given up may have been quick to; one that took longer than most shows that the server takes at least as long.
    const isSlow = outcome !== 'ok' && outcome !== 'dropped' && now - startedAt > meter.slowMs;
    if (outcome !== 'ignored' || isSlow) {
      if (isTimed && (outcome === 'ok' || isSlow)) meter.onTimed(startedAt, now, isSlow);
      if (retryAfterMs > meter.retryAfterMs) meter.retryAfterMs = retryAfterMs;
      const counted = outcome === 'ignored' ? 'error' : outcome;
      if (meter.end(counted, found, this.inFlight, now) && meter.close(this.limit)) this.#changeLimit();
    }
    if (this.#queue.size > 0) this.#pump();
    else if (this.isAwaited) this.#onRoom();
  }

  /** Admits the waiter at once, or queues it, or refuses it; it hears of it by its methods, perhaps before this returns. */
  enqueue(waiter: Waiter): void {
    const now = waiter.arrivedAt;
    if (this.hasRoom(waiter.weight)) {
      this.#admit(waiter, now);
      return;
    }
    const found = this.#findPlace(waiter, now);
    if (typeof found === 'string') {
      // Where nobody may wait, the door alone can prefer one call to another. `tryAcquire` may be asked over and over, and says nothing.
      if (found === 'limit') this.level.onRefused();
      this.refuse(waiter, found);
      return;
    }
    this.#queue.push(waiter);
    this.queuedWeight += waiter.weight;
    waiter.onTimeUp = this.#onTimeUp;
    const capMs = (waiter.rank >= this.#overloadedRank(now) ? overloadWaitMs : calmWaitMs)(this.#settings, this.meter);
    this.#wheel.arm(waiter, Math.min(waiter.deadline - this.meter.typicalMs, now + capMs), now);
    // Told when the queue is as it will be: whoever hears of it may come back at once.
    if (found !== undefined) this.#turnOut(found, 'evicted');
    // It may be before one that is too heavy for the room there is.
    if (this.#fits(waiter.weight)) this.#pump();
  }

  /** Whose place in the queue it takes, undefined for a free one, or why there is none. */
  #findPlace(waiter: Waiter, now: number): Waiter | Refusal | undefined {
    const { maxQueued } = this.#settings;
    if (maxQueued === 0) return 'limit';
    if (waiter.deadline - this.meter.typicalMs <= now) return 'deadline';
    return this.#queue.size < maxQueued ? undefined : (this.partitions.victim(this.#queue, waiter) ?? 'full');
  }

  /** Takes back what `enqueue` queued; false when it is no longer there. */
  withdraw(waiter: Waiter): boolean {
    if (!waiter.isQueued) return false;
    this.#leaveQueue(waiter);
    this.count('cancelled', waiter.rank);
    this.#pump();
    return true;
  }

  refuse(waiter: Waiter, refusal: Refusal): void {
    this.count(refusal, waiter.rank);
    try {
      waiter.onRefused(refusal);
    } catch (error) {
      this.#onError(error);
    }
  }

  count(refusal: Refusal, rank: number): void {
    const index = (REFUSAL_INDEX[refusal] as number) * RANKS + rank;
    this.refusals[index] = (this.refusals[index] as number) + 1;
    if (isForLackOfRoom(refusal)) this.meter.refused++;
    if (refusal !== 'level' && refusal !== 'cancelled' && refusal !== 'limit') this.level.onRefused();
    this.#onRefused(refusal, rank);
  }

  /** `window`: what it was calculated from; undefined for a limit from elsewhere. */
  setLimit(limit: number, reason: string, window?: LimitWindow): void {
    if (limit === this.limit) return;
    const hasGrown = limit > this.limit;
    this.history.note(this.limit, limit, reason, window);
    this.limit = limit;
    // What ends after `close` may change the limit of nobody.
    if (this.#told > 0) this.#tell(capacityOf(limit));
    this.#onLimit();
    if (hasGrown) this.#pump();
  }

  /** Refuses all that wait, and has no limit to tell of any more. */
  close(): void {
    this.#tell(0);
    for (let waiter = this.#queue.any(); waiter !== undefined; waiter = this.#queue.any()) {
      this.#leaveQueue(waiter);
      this.refuse(waiter, 'closed');
    }
  }

  /** Infinity, for "unknown", when nobody tells one. */
  #tell(capacity: number): void {
    const { counter } = this;
    const others = counter.capacity === Number.POSITIVE_INFINITY ? 0 : counter.capacity - this.#told;
    this.#told = capacity;
    counter.capacity = others + capacity || Number.POSITIVE_INFINITY;
  }

  #wakeUp(): void {
    if (this.#endedAtMs === 0) return;
    const limit = this.#calculator.afterIdle?.(this.limit, this.#clock.coarse() - this.#endedAtMs);
    if (limit !== undefined) this.setLimit(limit, this.#calculator.reason);
  }

  #changeLimit(): void {
    const { meter } = this;
    const next = this.#calculator.next(meter);
    this.setLimit(next, this.#calculator.reason, meter);
    meter.restart(this.limit, this.weight);
  }

  #admit(waiter: Waiter, now: number): void {
    this.meter.onWait(now - waiter.arrivedAt);
    this.begin(waiter.weight, waiter.partition, waiter.rank);
    const { isTimed, startedAt } = this;
    try {
      waiter.onAdmitted(startedAt, isTimed);
    } catch (error) {
      this.#onError(error);
      // Nobody could end it.
      if (!waiter.hasPermit) this.end('ignored', waiter.weight, waiter.partition, startedAt, false);
    }
  }

  /** Admits while there is room. What a call sets off as it begins may end up here again: that is for the run that is under way. */
  #pump(): void {
    if (this.#isPumping) {
      this.#hasRoomAgain = true;
      return;
    }
    this.#isPumping = true;
    try {
      do {
        this.#hasRoomAgain = false;
        this.#admitWaiting();
      } while (this.#hasRoomAgain);
    } finally {
      this.#isPumping = false;
    }
    if (this.#queue.size === 0 && this.isAwaited) this.#onRoom();
  }

  #admitWaiting(): void {
    if (this.#queue.size === 0) return;
    const now = this.#clock.now();
    while (this.#queue.size > 0) {
      const next = this.partitions.next(this.#queue, this.limit, this.#overloadedRank(now));
      if (next === undefined || !this.#fits(next.weight)) return;
      this.#leaveQueue(next);
      if (next.deadline - now < this.meter.typicalMs) {
        this.refuse(next, 'deadline');
        continue;
      }
      this.#onWaited?.(now - next.arrivedAt);
      this.#admit(next, now);
    }
  }

  /** It may have been a heavy one that others waited behind. */
  #turnOut(waiter: Waiter, refusal: Refusal): void {
    this.#leaveQueue(waiter);
    this.refuse(waiter, refusal);
    this.#pump();
  }

  #fits(weight: number): boolean {
    return this.weight + weight <= this.limit + EPSILON || (this.inFlight === 0 && this.limit > 0);
  }

  #leaveQueue(waiter: Waiter): void {
    this.#queue.remove(waiter);
    this.#wheel.disarm(waiter);
    this.queuedWeight -= waiter.weight;
    // Sums of fractions drift.
    if (this.#queue.size === 0) this.queuedWeight = 0;
  }

  readonly #onTimeUp = (waiter: Waiter): void => {
    const isLate = waiter.deadline - this.#clock.now() <= this.meter.typicalMs;
    this.#turnOut(waiter, isLate ? 'deadline' : 'waited');
  };
}

/** A share of nothing is full, but a counter's utilization must not be 0 / 0. */
function capacityOf(limit: number): number {
  return limit > 0 ? limit : Number.MIN_VALUE;
}

const WHEEL_TICK_MS = 4;
