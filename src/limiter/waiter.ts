/** A call that wants a permit: its claims, and its place in the queue while it waits. */
import { WheelEntry } from '../core/timer-wheel.js';
import type { Refusal } from './refusal.js';

/** What a call asks for, checked and resolved. */
export interface Claim {
  weight: number;
  rank: number;
  cohort: number | undefined;
  partition: number;
  deadline: number;
}

/** Extend it; an object is good for one wait. */
export abstract class Waiter extends WheelEntry {
  /** In the limiter's unit. */
  readonly weight: number;
  /** Rank of its criticality: 0 is the most critical. */
  readonly rank: number;
  /** 0 to 127; undefined: one by chance. */
  readonly cohort: number | undefined;
  /** Index of its partition. */
  readonly partition: number;
  /** Clock.now(); Infinity: none. */
  readonly deadline: number;
  /** Clock.now() of its arrival. */
  readonly arrivedAt: number;
  // Links and state, owned by the queue.
  next: Waiter | undefined = undefined;
  previous: Waiter | undefined = undefined;
  isQueued = false;
  /** Somebody can end it. */
  hasPermit = false;
  /** Hears that its time in the queue is up. */
  onTimeUp: ((waiter: Waiter) => void) | undefined = undefined;

  constructor(claim: Claim, arrivedAt: number) {
    super();
    this.weight = claim.weight;
    this.rank = claim.rank;
    this.cohort = claim.cohort;
    this.partition = claim.partition;
    this.deadline = claim.deadline;
    this.arrivedAt = arrivedAt;
  }

  /** Its weight is in flight from now on; `startedAt` and `isTimed` go back to the gate at the end. */
  abstract onAdmitted(startedAt: number, isTimed: boolean): void;
  abstract onRefused(refusal: Refusal): void;

  onDeadline(): void {
    this.onTimeUp?.(this);
  }
}
