/** Knobs that follow a source: what it reads is put in order, weighed for this instance, and written where checks read it. */
import type { Timer } from '../core/clock.js';
import { checkNumber, invalidArgument } from '../core/errors.js';
import { EventSource } from '../core/events.js';
import { randomId } from '../core/random.js';
import { createRuntime, type Runtime } from '../core/runtime.js';
import { ArmMeter } from './arm-meter.js';
import { BreakGlass, withBreakGlass } from './break-glass.js';
import { type CachedState, CacheFile } from './cached-state.js';
import { checkText, type KnobOptions, MAX_NAME_LENGTH, resolveDefinition } from './definition.js';
import { Effective } from './effective.js';
import { HeadOrder } from './head-order.js';
import { CountedKnob, type Knob, TableKnob } from './knob.js';
import { KnobTable } from './knob-table.js';
import { KnobUses } from './knob-uses.js';
import type { Knobs, KnobsEvents, KnobsOptions, KnobsSnapshot } from './knobs.js';
import type { Level } from './level.js';
import { Registry } from './registry.js';
import type { InstanceReport } from './report.js';
import { Reporter } from './reporter.js';
import { SeenFlips } from './seen-flips.js';
import { EMPTY_SNAPSHOT, isScope, type KnobSnapshot, type LevelScope } from './snapshot.js';
import type { SourceHandle, SourceReading } from './source.js';
import { Staleness } from './staleness.js';
import { stateSource } from './state-source.js';
import { KnobView, type PinOptions } from './view.js';
import { weighed } from './weighed.js';

const DEFAULT_MAX_STALENESS_MS = 3000;
const DEFAULT_POLL_MS = 10_000;
const DEFAULT_READY_MS = 5000;
const DEFAULT_REPORT_MS = 10_000;
/** How often the age is looked at. */
const LOOK_EVERY_MS = 250;

/**
 * Follows the knobs of `service` in `state`.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts
 * import { createKnobs } from 'evenkeel/knobs';
 * import { createMemoryState } from 'evenkeel/memory';
 *
 * const knobs = createKnobs({ state: createMemoryState(), service: 'search' });
 * const skipRerank = knobs.define({ name: 'Search/SkipRerank', level: 3, oncall: 'search-ranking' });
 * const results = skipRerank.on ? 'by date' : 'by relevance';
 * ```
 */
export function createKnobs(options: KnobsOptions): Knobs {
  return new FollowedKnobs(options);
}

class FollowedKnobs implements Knobs {
  readonly service: string;
  readonly instance: string;
  readonly events: EventSource<KnobsEvents>;
  readonly #scope: string;
  readonly #runtime: Runtime;
  readonly #staleness: Staleness;
  readonly #cache: CacheFile | undefined;
  readonly #countsChecks: boolean;
  readonly #registry: Registry;
  readonly #table = new KnobTable();
  readonly #head = new HeadOrder();
  readonly #seen = new SeenFlips();
  readonly #source: SourceHandle;
  readonly #ready: (() => void)[] = [];
  readonly #uses: KnobUses;
  readonly #glass: BreakGlass;
  readonly #reporter: Reporter | undefined;
  /** Since when the present state is in force. */
  #appliedAtMs: number;
  #snapshot: KnobSnapshot = EMPTY_SNAPSHOT;
  #effective: Effective;
  readonly #startedAtMs: number;
  /** From the store, or from the copy. */
  #isKnown = false;
  #change: Timer | undefined;
  #look: Timer;
  #isClosed = false;

  constructor(options: KnobsOptions) {
    const { cacheFile, maxStalenessMs, pollMs, scope = 'default', service, state } = options;
    this.#runtime = options.runtime ?? createRuntime();
    this.service = checkText('service', service, 1, MAX_NAME_LENGTH);
    this.#scope = checkText('scope', scope, 1, MAX_NAME_LENGTH);
    this.instance = checkText('instance', options.instance ?? randomId(this.#runtime.random.fork('knobs')), 1, MAX_NAME_LENGTH);
    this.#registry = new Registry(options.buried ?? []);
    const maxMs = checkNumber('maxStalenessMs', maxStalenessMs ?? DEFAULT_MAX_STALENESS_MS, 100);
    this.#staleness = new Staleness(maxMs, this.#registry);
    this.#cache = cacheFile === undefined ? undefined : new CacheFile(cacheFile, scope, this.#runtime, this.#onError);
    this.#countsChecks = options.countChecks ?? true;
    this.events = new EventSource(`knobs ${service}`, this.#runtime.diagnostics);
    this.#startedAtMs = this.#runtime.clock.now();
    this.#appliedAtMs = this.#startedAtMs;
    this.#uses = new KnobUses(this.#registry, this.#table, this.#runtime.clock);
    this.#glass = new BreakGlass({
      file: options.breakGlassFile,
      runtime: this.#runtime,
      onChange: () => this.#settle('break-glass'),
      onError: this.#onError,
    });
    this.#effective = this.#weigh();
    const everyMs = checkNumber('pollMs', pollMs ?? DEFAULT_POLL_MS, 100, 600_000);
    const listener = { onReading: this.#onReading, onError: this.#onError };
    this.#source = stateSource({ state, scope, pollMs: everyMs }).start(this.#runtime, listener);
    this.#look = this.#lookLater();
    this.#reporter = this.#reportTo(state, options.reportEveryMs ?? DEFAULT_REPORT_MS);
    if (this.#cache !== undefined) void this.#load(this.#cache);
  }

  get ageMs(): number {
    return this.#head.ageMs(this.#runtime.clock.now());
  }

  get revision(): number {
    return this.#head.revision;
  }

  get registryHash(): string {
    return this.#registry.hash;
  }

  define<const Name extends string>(options: KnobOptions<Name>): Knob<Name> {
    const definition = resolveDefinition(options, this.service);
    this.#registry.check(definition.name);
    const onFailed = (error: unknown) => {
      this.#runtime.diagnostics.report(`knob ${definition.name}`, error);
      this.events.emit('failed', { knob: definition.name, error });
    };
    const meter = new ArmMeter({ clock: this.#runtime.clock, onFailed });
    const knob = new (this.#countsChecks ? CountedKnob : TableKnob)(definition, this.#table, this.#table.add(), meter);
    this.#registry.add(knob as unknown as TableKnob);
    this.#settle('state');
    return knob;
  }

  pin(options?: PinOptions): KnobView {
    return new KnobView(this.#table.state, this.#head.revision, options, this.#runtime.clock);
  }

  level(scope?: LevelScope): Level {
    if (scope === undefined)
      return Math.min(this.#effective.levelAt('all'), this.#effective.levelAt(`service:${this.service}`)) as Level;
    if (!isScope(scope)) throw invalidArgument('scope', scope, "'all', 'service:NAME', 'product:NAME' or 'feature:NAME'");
    return this.#effective.levelAt(scope);
  }

  async ready({ timeoutMs = DEFAULT_READY_MS }: { timeoutMs?: number } = {}): Promise<boolean> {
    checkNumber('timeoutMs', timeoutMs, 0);
    if (!this.#isKnown && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        const timer = this.#runtime.clock.timer(timeoutMs, resolve, true);
        this.#ready.push(() => {
          timer.cancel();
          resolve();
        });
      });
    }
    return this.ageMs < Number.POSITIVE_INFINITY;
  }

  snapshot(): KnobsSnapshot {
    return {
      ...this.#stand(),
      scope: this.#scope,
      isStale: this.#staleness.isStale,
      isGlassBroken: this.#glass.snapshot !== undefined,
      level: this.level(),
      knobs: [...this.#registry].map(({ definition, index, meter }) => ({
        name: definition.name,
        level: definition.level,
        oncall: definition.oncall,
        dose: this.#table.doseOf(index),
        checks: this.#table.hitsOf(index),
        ...meter.counts(),
        definition,
      })),
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#source.close();
    this.#glass.close();
    this.#change?.cancel();
    this.#look.cancel();
    for (const wake of this.#ready.splice(0)) wake();
    await Promise.all([this.#cache?.settled(), this.#reporter?.close()]);
    this.events.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #onReading = (reading: SourceReading): void => {
    if (this.#isClosed) return;
    const news = this.#head.take(reading);
    if (news === 'older') return;
    if (news === 'newer' && reading.snapshot !== undefined) {
      this.#hold(reading.snapshot);
      this.#appliedAtMs = this.#runtime.clock.now();
      this.#reporter?.hurry();
    }
    this.#onKnown();
    if (this.#judge() || news === 'newer') this.#settle('state');
    if (news === 'newer' || this.#cache?.isDue) this.#cache?.save(this.#cached);
  };

  readonly #onError = (error: unknown): void => {
    this.#runtime.diagnostics.report(`knobs ${this.service}`, error);
    this.events.emit('error', { error });
  };

  #reportTo(state: KnobsOptions['state'], everyMs: number): Reporter | undefined {
    if (everyMs === 0) return undefined;
    return new Reporter({
      state,
      scope: this.#scope,
      service: this.service,
      instance: this.instance,
      everyMs: checkNumber('reportEveryMs', everyMs, 1000, 600_000),
      runtime: this.#runtime,
      report: () => this.#report(),
      definitions: () => [...this.#registry].map(({ definition }) => definition),
      onError: this.#onError,
    });
  }

  #report(): InstanceReport {
    const appliedAgoMs = this.#runtime.clock.now() - this.#appliedAtMs;
    return { ...this.#stand(), appliedAgoMs, knobs: this.#uses.take() };
  }

  #stand() {
    const { ageMs, instance, registryHash, revision, service } = this;
    const epoch = this.#head.epoch ?? '';
    return { service, instance, registryHash, epoch, revision, ageMs: ageMs === Number.POSITIVE_INFINITY ? null : ageMs };
  }

  #hold(snapshot: KnobSnapshot): void {
    this.#snapshot = snapshot;
    this.#seen.take(snapshot, this.#runtime.clock.now());
  }

  /** Weighs all knobs anew, and again when time makes a difference. */
  #settle(reason: KnobsEvents['change']['reason']): void {
    const effective = this.#weigh();
    const lostForMs = this.#lostForMs;
    const state = weighed(this.#registry, effective, this.#table.size, (definition) => {
      return this.#staleness.isLost(definition, lostForMs) && !this.#glass.holds(definition.name);
    });
    this.#effective = effective;
    const changed = new Set(this.#table.apply(state));
    this.#change?.cancel();
    this.#change = undefined;
    if (effective.changesInMs < Number.POSITIVE_INFINITY && !this.#isClosed)
      this.#change = this.#runtime.clock.timer(effective.changesInMs, () => this.#settle('time'));
    if (changed.size === 0 || !this.events.has('change')) return;
    const names = [...this.#registry].filter(({ index }) => changed.has(index)).map(({ name }) => name);
    this.events.emit('change', { changed: names, revision: this.revision, reason });
  }

  #weigh(): Effective {
    const now = this.#runtime.clock.now();
    const snapshot = withBreakGlass(this.#snapshot, this.#glass.snapshot);
    return new Effective(snapshot, this.instance, (flip) => this.#seen.elapsedMs(flip, now));
  }

  /** As `ageMs`; of what nothing has ever proven, since the start. */
  get #lostForMs(): number {
    return Math.min(this.ageMs, this.#runtime.clock.now() - this.#startedAtMs);
  }

  /** Tells whether the state is stale, once each way. True: the policy of some knob begins or ends. */
  #judge(): boolean {
    const { isOther, isTurned } = this.#staleness.judge(this.#lostForMs);
    if (isTurned && this.#staleness.isStale) this.events.emit('stale', { ageMs: this.ageMs });
    else if (isTurned) this.events.emit('fresh', { revision: this.revision });
    return isOther;
  }

  #lookLater(): Timer {
    return this.#runtime.clock.timer(LOOK_EVERY_MS, () => {
      this.#look = this.#lookLater();
      if (this.#judge()) this.#settle('stale');
    });
  }

  async #load(cache: CacheFile): Promise<void> {
    const cached = await cache.load();
    if (cached === undefined || this.#isClosed || this.#head.epoch !== undefined) return;
    const { clock } = this.#runtime;
    this.#head.restore(cached.epoch, cached.revision);
    this.#seen.restore(cached.elapsed, clock.wallTime() - cached.savedAt, clock.now());
    this.#hold(cached.snapshot);
    this.#onKnown();
    this.#settle('state');
  }

  #onKnown(): void {
    this.#isKnown = true;
    for (const wake of this.#ready.splice(0)) wake();
  }

  readonly #cached = (): CachedState => ({
    epoch: this.#head.epoch ?? '',
    revision: this.#head.revision,
    savedAt: this.#runtime.clock.wallTime(),
    elapsed: this.#seen.elapsed(this.#runtime.clock.now()),
    snapshot: this.#snapshot,
  });
}
