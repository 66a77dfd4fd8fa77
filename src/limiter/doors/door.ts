/** What is the same at every door of one limiter: claims, answers, and what is told of the level. */
import { invalidArgument } from '../../core/errors.js';
import { ALL_PRIORITIES } from '../admission-level.js';
import type { Limiter } from '../limiter.js';
import { coreOf, type LimiterCore } from '../limiter-core.js';
import { type DoorOptions, type DoorSettings, resolveDoorOptions } from './door-options.js';
import { LostConnections } from './lost-connections.js';
import { RefusalAnswers } from './refusal-answer.js';
import { RequestClaims } from './request-claim.js';

export class Door<Request> {
  readonly limiter: LimiterCore;
  readonly claims: RequestClaims<Request>;
  readonly answers: RefusalAnswers;
  readonly settings: DoorSettings<Request>;
  readonly connections = new LostConnections();
  #level = ALL_PRIORITIES;
  #levelText = '';

  /** @throws {EvenkeelError} `invalid-argument` for an option out of range, or what is no limiter. */
  constructor(limiter: Limiter, options: DoorOptions<Request> | undefined) {
    this.limiter = coreOf(limiter);
    this.settings = resolveDoorOptions(options);
    this.claims = new RequestClaims(this.limiter, this.settings);
    this.answers = new RefusalAnswers(this.settings.status, this.settings.retryAfterMs);
  }

  now(): number {
    return this.limiter.runtime.clock.now();
  }

  /** Value of `evenkeel-admission-level`; undefined while everybody is admitted, and where partitions have shares that no level takes away. */
  level(): string | undefined {
    const { gate, level } = this.limiter;
    if (level >= ALL_PRIORITIES || gate.partitions.isSplit) return undefined;
    // It changes a few times a second; its text is asked for with every response.
    if (level !== this.#level) {
      this.#level = level;
      this.#levelText = String(level);
    }
    return this.#levelText;
  }

  /** Nobody awaits what a handler throws. */
  report(what: string, error: unknown): void {
    this.limiter.runtime.diagnostics.report(`limiter ${this.limiter.name}: ${what}`, error);
  }
}

/** @throws {EvenkeelError} `invalid-argument`. */
export function checkHandler<T>(handler: T): T {
  if (typeof handler !== 'function') throw invalidArgument('handler', handler, 'a function');
  return handler;
}
