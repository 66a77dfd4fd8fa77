/**
 * Takes endpoints out that keep failing, for a time that doubles with each ejection in a row, and lets them back on probation: one
 * call at a time, whose success opens them and whose failure ejects them anew.
 *
 * Two signs: failures in a row, and the share of successes over a window. At most `maxShare` of the endpoints are out at once, one
 * always may be: when everything fails, ejecting everything helps nobody.
 * @see Finagle FailureAccrualPolicy (5 in a row; under 80 % over 30 s; 5 s to 300 s), Envoy outlier detection (largest share)
 */
import type { Clock, Timer } from '../core/clock.js';
import { checkInteger, checkNumber } from '../core/errors.js';
import type { FeatureSwitch } from '../core/feature-switch.js';
import type { Random } from '../core/random.js';
import type { EndpointTable, Member, OutcomeWindow } from './endpoint-table.js';
import { isOff } from './switches.js';

const DEFAULT_CONSECUTIVE_FAILURES = 5;
const DEFAULT_MIN_SUCCESS_SHARE = 0.8;
const DEFAULT_EJECTION_WINDOW_MS = 30_000;
const DEFAULT_MIN_ATTEMPTS = 20;
const DEFAULT_EJECTION_BASE_MS = 5000;
const DEFAULT_EJECTION_MAX_MS = 300_000;
const DEFAULT_MAX_EJECTED_SHARE = 0.5;

export interface EjectionOptions {
  /** Failures in a row. Default 5; 1 and up. */
  consecutiveFailures?: number;
  /** Share of successes below which an endpoint is ejected. Default 0.8; 0 turns this sign off. */
  minSuccessShare?: number;
  /** Over how long. Default 30,000 ms. */
  windowMs?: number;
  /** Attempts within the window before the share means anything. Default 20; 1 and up. */
  minAttempts?: number;
  /** Length of the first ejection. Default 5000 ms. */
  baseMs?: number;
  /** Longest ejection. Default 300,000 ms. */
  maxMs?: number;
  /** Largest share of endpoints out at once. Default 0.5; one always may be. */
  maxShare?: number;
}

export interface EjectionListener {
  onEject(member: Member, reason: string, forMs: number): void;
  onReturn(member: Member): void;
}

export class OutlierEjection {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #table: EndpointTable;
  readonly #listener: EjectionListener;
  readonly #consecutive: number;
  readonly #minShare: number;
  readonly #halfWindowMs: number;
  readonly #minAttempts: number;
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #maxShare: number;
  readonly #switch: FeatureSwitch | undefined;
  readonly #timers = new Map<Member, Timer>();

  constructor(
    clock: Clock,
    random: Random,
    table: EndpointTable,
    options: EjectionOptions,
    listener: EjectionListener,
    featureSwitch?: FeatureSwitch,
  ) {
    this.#switch = featureSwitch;
    this.#clock = clock;
    this.#random = random;
    this.#table = table;
    this.#listener = listener;
    this.#consecutive = checkInteger(
      'ejection.consecutiveFailures',
      options.consecutiveFailures ?? DEFAULT_CONSECUTIVE_FAILURES,
      1,
    );
    this.#minShare = checkNumber('ejection.minSuccessShare', options.minSuccessShare ?? DEFAULT_MIN_SUCCESS_SHARE, 0, 1);
    this.#halfWindowMs = checkNumber('ejection.windowMs', options.windowMs ?? DEFAULT_EJECTION_WINDOW_MS, 100) / 2;
    this.#minAttempts = checkInteger('ejection.minAttempts', options.minAttempts ?? DEFAULT_MIN_ATTEMPTS, 1);
    this.#baseMs = checkNumber('ejection.baseMs', options.baseMs ?? DEFAULT_EJECTION_BASE_MS, 1);
    this.#maxMs = checkNumber('ejection.maxMs', options.maxMs ?? DEFAULT_EJECTION_MAX_MS, this.#baseMs);
    this.#maxShare = checkNumber('ejection.maxShare', options.maxShare ?? DEFAULT_MAX_EJECTED_SHARE, 0, 1);
  }

  /**
   * An attempt ended. `hasFailed`: the server, or the way to it, is to blame. `isUnsent`: nothing of the call went out, so that trying
   * cost next to nothing and the call goes elsewhere: such a failure on probation does not lengthen the next ejection, or a server
   * that restarts would be missed for long after it is back.
   */
  onEnd(member: Member, hasFailed: boolean, isUnsent: boolean, now: number): void {
    if (isOff(this.#switch)) {
      this.#releaseAll(member);
      return;
    }
    if (!hasFailed) {
      if (member.isOnProbation) this.#prove(member);
      // Without a past there is nothing to count, which is almost always.
      if (member.outcomes !== undefined) this.#count(member.outcomes, false, now);
      return;
    }
    member.outcomes ??= { startMs: now, ok: 0, failed: 0, previousOk: 0, previousFailed: 0, inARow: 0 };
    const window = member.outcomes;
    this.#count(window, true, now);
    if (member.isEjected || member.isRemoved) return;
    if (member.isOnProbation) this.#eject(member, 'failed on probation', isUnsent ? 0 : 1);
    else if (window.inARow >= this.#consecutive) this.#eject(member, `${window.inARow} failures in a row`, 1);
    else this.#judgeShare(member, window);
  }

  /** The member is gone. */
  forget(member: Member): void {
    this.#timers.get(member)?.cancel();
    this.#timers.delete(member);
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  /** Nobody is out, or on probation, while ejection is off. */
  #releaseAll(member: Member): void {
    member.isOnProbation = false;
    for (const [ejected, timer] of this.#timers) {
      timer.cancel();
      this.#readmit(ejected);
      ejected.isOnProbation = false;
    }
  }

  #count(window: OutcomeWindow, hasFailed: boolean, now: number): void {
    const elapsed = now - window.startMs;
    if (elapsed >= this.#halfWindowMs) {
      const isRecent = elapsed < 2 * this.#halfWindowMs;
      window.previousOk = isRecent ? window.ok : 0;
      window.previousFailed = isRecent ? window.failed : 0;
      window.ok = 0;
      window.failed = 0;
      window.startMs = now;
    }
    if (hasFailed) {
      window.failed++;
      window.inARow++;
    } else {
      window.ok++;
      window.inARow = 0;
    }
  }

  #judgeShare(member: Member, window: OutcomeWindow): void {
    const failed = window.failed + window.previousFailed;
    const attempts = failed + window.ok + window.previousOk;
    if (attempts < this.#minAttempts) return;
    const share = 1 - failed / attempts;
    if (share < this.#minShare) this.#eject(member, `${Math.round(share * 100)} % of ${attempts} attempts succeeded`, 1);
  }

  /** @param longer - 1: the next ejection in a row, twice as long as the last; 0: as long as the last. */
  #eject(member: Member, reason: string, longer: 0 | 1): void {
    if (!this.#mayEject()) return;
    member.isEjected = true;
    member.isOnProbation = false;
    member.ejections += longer;
    // Equal jitter: endpoints that failed together do not come back together.
    const full = Math.min(this.#maxMs, this.#baseMs * 2 ** (member.ejections - 1));
    const forMs = full / 2 + this.#random.next() * (full / 2);
    this.#timers.set(
      member,
      this.#clock.timer(forMs, () => this.#readmit(member)),
    );
    this.#table.refresh();
    this.#listener.onEject(member, reason, forMs);
  }

  #mayEject(): boolean {
    const ejected = this.#timers.size;
    return ejected === 0 || ejected + 1 <= this.#table.size * this.#maxShare;
  }

  #readmit(member: Member): void {
    this.#timers.delete(member);
    if (member.isRemoved) return;
    member.isEjected = false;
    member.isOnProbation = true;
    member.forgive();
    member.outcomes = undefined;
    this.#table.refresh();
    this.#listener.onReturn(member);
  }

  #prove(member: Member): void {
    member.isOnProbation = false;
    member.ejections = 0;
  }
}
