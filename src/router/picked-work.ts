/** Work at an endpoint that the router chose and somebody else does. */
import type { Clock } from '../core/clock.js';
import type { Endpoint } from '../core/endpoint.js';
import type { Outcome } from '../core/load-counter.js';
import type { Member } from './endpoint-table.js';

/** Work that an endpoint is chosen for. */
export interface WorkRequest {
  readonly model?: string;
  /** Default 1; above 0. */
  readonly weight?: number;
  readonly shard?: string;
  readonly affinity?: readonly string[];
}

export interface Pick {
  readonly endpoint: Endpoint;
  /** The work is over; the first call counts. Default `ok`. Its outcome and its time count like a call's. */
  end(outcome?: Outcome): void;
}

export class PickedWork implements Pick {
  readonly endpoint: Endpoint;
  readonly #member: Member;
  readonly #weight: number;
  readonly #loadKey: string | undefined;
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #onEnd: (outcome: Outcome, now: number) => void;
  #isOver = false;

  constructor(
    member: Member,
    weight: number,
    loadKey: string | undefined,
    clock: Clock,
    onEnd: (outcome: Outcome, now: number) => void,
  ) {
    this.endpoint = member.endpoint;
    this.#member = member;
    this.#weight = weight;
    this.#loadKey = loadKey;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#onEnd = onEnd;
    member.begin(weight, this.#startedAt, loadKey);
  }

  end(outcome: Outcome = 'ok'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const now = this.#clock.now();
    this.#member.end(outcome, this.#weight, this.#loadKey, this.#startedAt, 0, now);
    this.#onEnd(outcome, now);
  }
}
