/** First in, first out, on a fixed number of slots: a job has its slot alone until it is done, and the others wait. */
import type { VirtualClock } from '../core/virtual-clock.js';
import { type Antagonist, type Job, memoryStall, type Processor } from './processor.js';

export interface FifoSlotsOptions {
  readonly slots: number;
  /** Default 1. */
  readonly speed?: number;
  /** Slows the jobs that begin while it is there. */
  readonly antagonist?: Antagonist;
}

class QueuedJob implements Job {
  readonly workMs: number;
  readonly memory: number;
  readonly onDone: () => void;
  readonly #onLeave: () => void;
  isRunning = false;
  isOver = false;

  constructor(workMs: number, memory: number, onDone: () => void, onLeave: () => void) {
    this.workMs = workMs;
    this.memory = memory;
    this.onDone = onDone;
    this.#onLeave = onLeave;
  }

  cancel(): void {
    if (this.isOver) return;
    // A job that runs keeps its slot to its end, as a kernel on an accelerator does; only its answer is given up.
    this.isOver = true;
    if (!this.isRunning) this.#onLeave();
  }
}

export class FifoSlots implements Processor {
  readonly #world: VirtualClock;
  readonly #slots: number;
  readonly #speed: number;
  readonly #antagonist: Antagonist | undefined;
  #queue: QueuedJob[] = [];
  #head = 0;
  /** In the queue and not given up. */
  #waiting = 0;
  #running = 0;
  #memory = 0;
  #busyMs = 0;
  #cpuMs = 0;
  /** Processors that the antagonist has. */
  #taken = 0;
  #updatedAtMs = 0;

  constructor(world: VirtualClock, options: FifoSlotsOptions) {
    this.#world = world;
    this.#slots = options.slots;
    this.#speed = options.speed ?? 1;
    this.#antagonist = options.antagonist;
    this.#updatedAtMs = world.now();
    this.#onAntagonist();
    if (this.#antagonist !== undefined) this.#antagonist.onChange = this.#onAntagonist;
  }

  get inFlight(): number {
    return this.#running + this.#waiting;
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

  start(workMs: number, onDone: () => void, memory = 0): Job {
    const job = new QueuedJob(workMs, memory, onDone, this.#onLeave);
    if (this.#running < this.#slots) this.#run(job);
    else {
      this.#queue.push(job);
      this.#waiting++;
    }
    return job;
  }

  readonly #onLeave = (): void => {
    this.#waiting--;
  };

  #run(job: QueuedJob): void {
    this.#advance();
    job.isRunning = true;
    this.#running++;
    this.#memory += job.memory;
    const ms = (job.workMs * memoryStall(this.#memory)) / Math.max(LEAST_SPEED, this.freeSpeed);
    this.#world.timer(ms, () => {
      this.#advance();
      this.#running--;
      this.#memory = this.#running === 0 ? 0 : this.#memory - job.memory;
      if (!job.isOver) {
        job.isOver = true;
        job.onDone();
      }
      this.#runNext();
    });
  }

  #runNext(): void {
    while (this.#running < this.#slots && this.#head < this.#queue.length) {
      const job = this.#queue[this.#head++] as QueuedJob;
      if (job.isOver) continue;
      this.#waiting--;
      this.#run(job);
    }
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > MOST_LEFTOVERS) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  #advance(): void {
    const now = this.#world.now();
    const elapsed = now - this.#updatedAtMs;
    this.#updatedAtMs = now;
    this.#busyMs += this.#running * elapsed;
    this.#cpuMs += Math.min(this.#slots, this.#running + this.#taken) * elapsed;
  }

  /** Jobs that run keep the speed that they began with. */
  readonly #onAntagonist = (): void => {
    this.#advance();
    this.#taken = this.#slots * (this.#antagonist?.share ?? 0);
  };
}

const LEAST_SPEED = 0.01;
const MOST_LEFTOVERS = 1024;
