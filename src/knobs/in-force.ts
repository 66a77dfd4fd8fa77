/**
 * What the state that is held means here and now: weighed for this instance, and written where checks read it, at each change of the state, when the time
 * of a flip comes, when nothing proves the state any more, and when somebody breaks the glass.
 */
import type { Timer } from '../core/clock.js';
import type { Runtime } from '../core/runtime.js';
import { BreakGlass, withBreakGlass } from './break-glass.js';
import { CallHints } from './call-hints.js';
import type { KnobDefinition } from './definition.js';
import { Effective } from './effective.js';
import type { HeadOrder } from './head-order.js';
import type { KnobTable } from './knob-table.js';
import type { ChangeReason } from './knobs.js';
import { type Level, NORMAL_LEVEL } from './level.js';
import type { Registry } from './registry.js';
import { SeenFlips } from './seen-flips.js';
import { EMPTY_SNAPSHOT, type KnobSnapshot } from './snapshot.js';
import { Staleness } from './staleness.js';
import { weighed } from './weighed.js';

export interface InForceOptions {
  readonly runtime: Runtime;
  readonly instance: string;
  readonly registry: Registry;
  readonly table: KnobTable;
  readonly head: HeadOrder;
  readonly maxStalenessMs: number;
  readonly breakGlassFile: string | undefined;
  /** Asks the store now. */
  readonly poll: () => void;
  readonly onChange: (changed: ReadonlySet<number>, reason: ChangeReason) => void;
  readonly onStale: (isStale: boolean) => void;
  readonly onError: (error: unknown) => void;
}

/** How often the age is looked at. */
const LOOK_EVERY_MS = 250;

export class InForce {
  readonly hints: CallHints;
  readonly seen = new SeenFlips();
  readonly #options: InForceOptions;
  readonly #glass: BreakGlass;
  readonly #staleness: Staleness;
  readonly #startedAtMs: number;
  snapshot: KnobSnapshot = EMPTY_SNAPSHOT;
  effective: Effective;
  /** Told by servers, and weighed. */
  #told: Level = NORMAL_LEVEL;
  #change: Timer | undefined;
  #look: Timer;
  #isClosed = false;

  constructor(options: InForceOptions) {
    const { breakGlassFile, head, maxStalenessMs, onError, poll, registry, runtime } = options;
    this.#options = options;
    this.#startedAtMs = runtime.clock.now();
    this.#staleness = new Staleness(maxStalenessMs, registry);
    this.#glass = new BreakGlass({
      file: breakGlassFile,
      runtime,
      onChange: () => this.settle('break-glass'),
      onError,
    });
    this.hints = new CallHints(runtime.clock, { head, level: () => this.effective.levelAt('all'), poll });
    this.effective = this.#weigh();
    this.#look = this.#lookLater();
  }

  get isStale(): boolean {
    return this.#staleness.isStale;
  }

  get isGlassBroken(): boolean {
    return this.#glass.snapshot !== undefined;
  }

  /** From now on this is held. */
  hold(snapshot: KnobSnapshot): void {
    this.snapshot = snapshot;
    this.seen.take(snapshot, this.#options.runtime.clock.now());
  }

  /** One more knob. All are weighed anew only if it is not simply off: thousands of definitions would cost the square of that. */
  add(definition: KnobDefinition): void {
    const { changesInMs } = this.effective;
    const { dose, rule } = this.effective.doseOf(definition);
    const isOff = dose === 0 && rule === undefined && changesInMs === this.effective.changesInMs;
    if (!isOff || this.#staleness.isLost(definition, this.#lostForMs())) this.settle('state');
  }

  /** Weighs all knobs anew, and again when time makes a difference. */
  settle(reason: ChangeReason): void {
    const { onChange, registry, runtime, table } = this.#options;
    this.#told = this.#toldNow();
    const effective = this.#weigh();
    const lostForMs = this.#lostForMs();
    const state = weighed(registry, effective, table.size, (definition) => {
      return this.#staleness.isLost(definition, lostForMs) && !this.#glass.holds(definition.name);
    });
    this.effective = effective;
    const changed = new Set(table.apply(state));
    this.#change?.cancel();
    this.#change = undefined;
    if (effective.changesInMs < Number.POSITIVE_INFINITY && !this.#isClosed)
      this.#change = runtime.clock.timer(effective.changesInMs, () => this.settle('time'));
    if (changed.size > 0) onChange(changed, reason);
  }

  /** Looks whether what is held is proven. True: what is in force is no longer right. */
  judge(): boolean {
    const { isOther, isTurned } = this.#staleness.judge(this.#lostForMs());
    if (isTurned) this.#options.onStale(this.#staleness.isStale);
    return isOther || this.#toldNow() !== this.#told;
  }

  /** What is in force stays so. */
  close(): void {
    this.#isClosed = true;
    this.#glass.close();
    this.#change?.cancel();
    this.#look.cancel();
  }

  #weigh(): Effective {
    const { instance, runtime } = this.#options;
    const now = runtime.clock.now();
    const snapshot = withBreakGlass(this.snapshot, this.#glass.snapshot);
    return new Effective(snapshot, instance, (flip) => this.seen.elapsedMs(flip, now), this.#told);
  }

  /** By servers: counts while nothing proves what is held, and not against whoever is at this machine. */
  #toldNow(): Level {
    const isAsked = this.#staleness.isStale && !this.#glass.snapshot?.levels.some(({ scope }) => scope === 'all');
    return isAsked ? this.hints.level(this.#options.runtime.clock.now()) : NORMAL_LEVEL;
  }

  /** Without proof; of what nothing has ever proven, since the start. */
  #lostForMs(): number {
    const { head, runtime } = this.#options;
    const now = runtime.clock.now();
    return Math.min(head.ageMs(now), now - this.#startedAtMs);
  }

  #lookLater(): Timer {
    return this.#options.runtime.clock.timer(LOOK_EVERY_MS, () => {
      this.#look = this.#lookLater();
      if (this.judge()) this.settle('stale');
    });
  }
}
