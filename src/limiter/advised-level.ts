/**
 * What the servers of a service admit, as far as their callers know: what would be turned away there is shed at home.
 *
 * Whose level counts, where servers differ? The mean of what was heard over the last moments: servers that answer more often count more. And when
 * nothing is heard? After a second the level opens, and after two everybody is admitted: a server that recovered while nobody
 * asked it could not say so. While it is below everybody, one call a second that would be shed is sent all the same.
 * @see Zhou et al. (DAGOR), SoCC'18, section 4.2.3
 */
import { COHORTS } from '../core/cohort.js';
import { HEADERS, type HeaderList, headerValue } from '../core/headers.js';
import type { Random } from '../core/random.js';
import { ALL_PRIORITIES } from './admission-level.js';

/** Time over which levels are averaged. */
const MEAN_MS = 250;
const HOLD_MS = 1000;
const FADE_MS = 2000;
const PROBE_MS = 1000;

export class AdvisedLevel {
  readonly #random: Random;
  #value = ALL_PRIORITIES;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #probedAtMs = Number.NEGATIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A server answered. Without the header, or with one that is malformed, it admits everybody. */
  read(headers: HeaderList, now: number): void {
    const text = headerValue(headers, HEADERS.admissionLevel);
    const isLevel = text !== undefined && /^\d{1,3}$/.test(text);
    this.onLevel(isLevel ? Math.min(Number(text), ALL_PRIORITIES) : ALL_PRIORITIES, now);
  }

  onLevel(level: number, now: number): void {
    const present = this.at(now);
    const elapsed = Math.min(now - this.#heardAtMs, FADE_MS);
    this.#heardAtMs = now;
    if (level === present) return;
    this.#value = present + ((level - present) * elapsed) / (elapsed + MEAN_MS);
    // The mean only ever comes close to it.
    if (ALL_PRIORITIES - this.#value < 1) this.#value = ALL_PRIORITIES;
  }

  /** Priorities below it are sent, 0 to 512. */
  at(now: number): number {
    if (this.#value === ALL_PRIORITIES) return ALL_PRIORITIES;
    const silentMs = now - this.#heardAtMs;
    if (silentMs <= HOLD_MS) return this.#value;
    if (silentMs >= FADE_MS) return ALL_PRIORITIES;
    return this.#value + ((ALL_PRIORITIES - this.#value) * (silentMs - HOLD_MS)) / (FADE_MS - HOLD_MS);
  }

  /** `cohort` undefined: one by chance. */
  admits(rank: number, cohort: number | undefined, now: number): boolean {
    const level = this.at(now);
    if (level === ALL_PRIORITIES || rank * COHORTS + (cohort ?? this.#random.int(COHORTS)) < level) return true;
    if (now - this.#probedAtMs < PROBE_MS) return false;
    this.#probedAtMs = now;
    return true;
  }
}
