/**
 * Processor sharing: all jobs run at once, each on one processor while there are enough, on an equal share when there are not.
 *
 * Progress is counted once for all jobs (the work that a job present from the start would have been given): a job is done when that
 * count has risen by its work, so that an arrival changes one rate and not every job's end.
 */

import type { Timer } from '../core/clock.js';
import { BinaryHeap } from '../core/internal/binary-heap.js';
import type { VirtualClock } from '../core/virtual-clock.js';
import { type Antagonist, type Job, memoryStall, type Processor } from './processor.js';

export interface ProcessorSharingOptions {
  /** Processors. */
  readonly slots: number;
  /** 2: each does a job in half the time. Default 1. */
  readonly speed?: number;
  readonly antagonist?: Antagonist;
  /** Share of the throughput that is lost for each `slots` jobs beyond the slots: caches and locks that more jobs fight for. Default 0. */
  readonly crowding?: number;
  /** Tells of time spent, as the operating system would. */
  readonly onCpu?: (cpuMs: number) => void;
}

class SharedJob implements Job {
  readonly doneAt: number;
  readonly memory: number;
  readonly onDone: () => void;
  readonly #onCancel: (job: SharedJob) => void;
  isOver = false;

  constructor(doneAt: number, memory: number, onDone: () => void, onCancel: (job: SharedJob) => void) {
    this.doneAt = doneAt;
    this.memory = memory;
    this.onDone = onDone;
    this.#onCancel = onCancel;
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#onCancel(this);
  }
}

export class ProcessorSharing implements Processor {
  readonly #world: VirtualClock;
  readonly #slots: number;
  #speed: number;
  readonly #crowding: number;
  readonly #antagonist: Antagonist | undefined;
  readonly #onCpu: ((cpuMs: number) => void) | undefined;
  readonly #jobs = new BinaryHeap<SharedJob>((a, b) => a.doneAt < b.doneAt);
  #inFlight = 0;
  #memory = 0;
  /** Work given to a job that has been here from the start. */
  #progress = 0;
  #updatedAtMs = 0;
  /** Work per millisecond, for each job. */
  #rate = 0;
  /** Processors of the antagonist since then; by the time it tells of a change, its share is the new one. */
  #taken = 0;
  #busyMs = 0;
  #cpuMs = 0;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(world: VirtualClock, options: ProcessorSharingOptions) {
    this.#world = world;
    this.#slots = options.slots;
    this.#speed = options.speed ?? 1;
    this.#crowding = options.crowding ?? 0;
    this.#antagonist = options.antagonist;
    this.#onCpu = options.onCpu;
    this.#updatedAtMs = world.now();
    this.#plan();
    if (this.#antagonist !== undefined) {
      this.#antagonist.onChange = () => {
        this.#advance();
        this.#plan();
      };
    }
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get busyMs(): number {
    this.#advance();
    return this.#busyMs;
  }

  get cpuMs(): number {
    this.#advance();
    return this.#cpuMs;
  }

  get freeSpeed(): number {
    return this.#speed * (1 - (this.#antagonist?.share ?? 0));
  }

  /** From now on. */
  set speed(speed: number) {
    this.#advance();
    this.#speed = speed;
    this.#plan();
  }

  /** Work that is done at once, before all jobs: idle processors do it, or else each job comes that much later. */
  spend(workMs: number): void {
    this.#advance();
    if (this.#inFlight >= this.#slots - this.#taken) {
      this.#progress -= workMs / this.#inFlight;
      return;
    }
    this.#busyMs += workMs;
    this.#cpuMs += workMs;
  }

  start(workMs: number, onDone: () => void, memory = 0): Job {
    this.#advance();
    const job = new SharedJob(this.#progress + workMs, memory, onDone, this.#cancel);
    this.#jobs.push(job);
    this.#inFlight++;
    this.#memory += memory;
    this.#plan();
    return job;
  }

  readonly #cancel = (job: SharedJob): void => {
    this.#advance();
    this.#leave(job);
    this.#plan();
  };

  #leave(job: SharedJob): void {
    this.#inFlight--;
    this.#memory = this.#inFlight === 0 ? 0 : this.#memory - job.memory;
  }

  #advance(): void {
    const now = this.#world.now();
    const elapsed = now - this.#updatedAtMs;
    if (elapsed === 0) return;
    this.#updatedAtMs = now;
    this.#progress += this.#rate * elapsed;
    const own = Math.min(this.#inFlight, this.#slots - this.#taken) * elapsed;
    this.#busyMs += own;
    this.#cpuMs += own + this.#taken * elapsed;
    this.#onCpu?.(this.#cpuMs);
  }

  /** The rate from now on, and the timer for the first job that will be done. */
  #plan(): void {
    this.#taken = this.#slots * (this.#antagonist?.share ?? 0);
    const free = this.#slots - this.#taken;
    const share = this.#inFlight <= free ? 1 : free / this.#inFlight;
    const crowd = Math.max(0, this.#inFlight - this.#slots) / this.#slots;
    const efficiency = Math.max(LEAST_EFFICIENCY, 1 - this.#crowding * crowd);
    this.#rate = (share * efficiency * this.#speed) / memoryStall(this.#memory);
    let first = this.#jobs.peek();
    while (first?.isOver) {
      this.#jobs.pop();
      first = this.#jobs.peek();
    }
    // Nothing to do, or nobody to do it while an antagonist has everything.
    if (first === undefined || this.#rate === 0) return;
    const dueMs = this.#updatedAtMs + Math.max(0, first.doneAt - this.#progress) / this.#rate;
    // A timer that comes too early plans anew; that is cheaper than to move it at every arrival.
    if (this.#timer !== undefined && this.#timerAtMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = dueMs;
    this.#timer = this.#world.timer(dueMs - this.#updatedAtMs, this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    this.#advance();
    // What is left after rounding would take less than a nanosecond, or than the clock can tell after weeks.
    const rounding = 1e-9 + ROUNDING * (this.#progress + this.#updatedAtMs * this.#rate);
    for (let job = this.#jobs.peek(); job !== undefined; job = this.#jobs.peek()) {
      if (!job.isOver && job.doneAt - this.#progress > rounding) break;
      this.#jobs.pop();
      if (job.isOver) continue;
      job.isOver = true;
      this.#leave(job);
      job.onDone();
    }
    this.#plan();
  };
}

/** What is left however crowded it is. */
const LEAST_EFFICIENCY = 0.05;
/** Twice the distance of two numbers next to each other, as a share of them. */
const ROUNDING = 2 * Number.EPSILON;
