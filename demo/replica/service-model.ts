/**
 * How an inference server spends time, without spending CPU: a request waits for a slot, then takes time for each token of its
 * prompt, then for each token of its answer. Slots do not slow each other down; waiting is what load costs.
 */
import type { Clock, Timer } from 'evenkeel/core';
import { type ServerFigures, TOKENS_PER_EVENT } from '../parameters.js';

export interface Work {
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Tokens generated since the last time; the first call comes after the prompt was read. */
  onTokens(tokens: number): void;
  onDone(): void;
}

export interface Job {
  /** Gives the slot or the place in the queue back. Idempotent. */
  cancel(): void;
}

export class ServiceModel {
  /** Times slower than the figures. A change meets running work at its next step. */
  slowdown = 1;
  readonly #clock: Clock;
  readonly #figures: ServerFigures;
  readonly #waiting = new Set<RunningJob>();
  #running = 0;

  constructor(clock: Clock, figures: ServerFigures) {
    this.#clock = clock;
    this.#figures = figures;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Undefined: all slots and all places in the queue are taken. */
  submit(work: Work): Job | undefined {
    const { slots, queuePlaces } = this.#figures;
    if (this.#running >= slots && this.#waiting.size >= queuePlaces) return undefined;
    const job = new RunningJob(work, {
      clock: this.#clock,
      prefillMs: () => work.promptTokens * this.#figures.prefillMsPerToken * this.slowdown,
      decodeMs: (tokens) => tokens * this.#figures.decodeMsPerToken * this.slowdown,
      onEnd: (ended) => this.#onEnd(ended),
    });
    this.#waiting.add(job);
    this.#fillSlots();
    return job;
  }

  #onEnd(job: RunningJob): void {
    // Whoever is not waiting had a slot.
    if (!this.#waiting.delete(job)) this.#running--;
    this.#fillSlots();
  }

  #fillSlots(): void {
    for (const job of this.#waiting) {
      if (this.#running >= this.#figures.slots) return;
      this.#waiting.delete(job);
      this.#running++;
      job.start();
    }
  }
}

interface Pace {
  readonly clock: Clock;
  prefillMs(): number;
  decodeMs(tokens: number): number;
  onEnd(job: RunningJob): void;
}

class RunningJob implements Job {
  readonly #work: Work;
  readonly #pace: Pace;
  #left: number;
  /** Steps follow each other by this, not by when their timers came: late timers do not add up. */
  #dueMs = 0;
  #timer: Timer | undefined;
  #isOver = false;

  constructor(work: Work, pace: Pace) {
    this.#work = work;
    this.#pace = pace;
    this.#left = work.outputTokens;
  }

  start(): void {
    this.#dueMs = this.#pace.clock.now();
    this.#after(this.#pace.prefillMs(), () => this.#decode());
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#pace.onEnd(this);
  }

  #decode(): void {
    const tokens = Math.min(TOKENS_PER_EVENT, this.#left);
    this.#after(this.#pace.decodeMs(tokens), () => {
      this.#left -= tokens;
      this.#work.onTokens(tokens);
      if (this.#isOver) return;
      if (this.#left > 0) this.#decode();
      else this.#finish();
    });
  }

  #finish(): void {
    this.#isOver = true;
    this.#work.onDone();
    this.#pace.onEnd(this);
  }

  #after(ms: number, then: () => void): void {
    const { clock } = this.#pace;
    this.#dueMs += ms;
    this.#timer = clock.timer(Math.max(0, this.#dueMs - clock.now()), then);
  }
}
