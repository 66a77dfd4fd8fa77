/** Knobs that follow a source: what it reads is put in order, weighed for this instance, and written where checks read it. */
import { checkNumber, invalidArgument } from '../core/errors.js';
import { EventSource } from '../core/events.js';
import type { WorkCounter } from '../core/load-counter.js';
import { randomId } from '../core/random.js';
import { createRuntime, type Runtime } from '../core/runtime.js';
import type { CallExtension } from '../core/transport/call.js';
import { ArmMeter } from './arm-meter.js';
import { type CachedState, CacheFile } from './cached-state.js';
import { checkText, type KnobOptions, MAX_NAME_LENGTH, resolveDefinition } from './definition.js';
import { HeadOrder } from './head-order.js';
import { InForce } from './in-force.js';
import { CountedKnob, type Knob, TableKnob } from './knob.js';
import { KnobTable } from './knob-table.js';
import { KnobUses } from './knob-uses.js';
import type { ChangeReason, Knobs, KnobsEvents, KnobsOptions, KnobsSnapshot } from './knobs.js';
import type { Level } from './level.js';
import { Registry } from './registry.js';
import type { InstanceReport } from './report.js';
import { Reporter } from './reporter.js';
import { isScope, type LevelScope } from './snapshot.js';
import type { SourceHandle, SourceReading } from './source.js';
import { StateFollower } from './state-source.js';
import { KnobView, type PinOptions } from './view.js';

const DEFAULT_MAX_STALENESS_MS = 3000;
const DEFAULT_POLL_MS = 10_000;
const DEFAULT_READY_MS = 5000;
const DEFAULT_REPORT_MS = 10_000;

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
  readonly #cache: CacheFile | undefined;
  readonly #countsChecks: boolean;
  readonly #registry: Registry;
  readonly #table = new KnobTable();
  readonly #head = new HeadOrder();
  readonly #source: SourceHandle;
  readonly #ready: (() => void)[] = [];
  readonly #uses: KnobUses;
  readonly #reporter: Reporter | undefined;
  /** Since when the present state is in force. */
  #appliedAtMs: number;
  readonly #inForce: InForce;
  /** From the store, or from the copy. */
  #isKnown = false;
  #isClosed = false;

  constructor(options: KnobsOptions) {
    const { cacheFile, maxStalenessMs, scope = 'default', service, state } = options;
    // All that may be refused is, before anything begins to run.
    if (typeof state?.watch !== 'function') throw invalidArgument('state', state, 'a StateTransport');
    const pollMs = checkNumber('pollMs', options.pollMs ?? DEFAULT_POLL_MS, 100, 600_000);
    const reportMs = options.reportEveryMs ?? DEFAULT_REPORT_MS;
    if (reportMs !== 0) checkNumber('reportEveryMs', reportMs, 1000, 600_000);
    this.#runtime = options.runtime ?? createRuntime();
    this.service = checkText('service', service, 1, MAX_NAME_LENGTH);
    this.#scope = checkText('scope', scope, 1, MAX_NAME_LENGTH);
    this.instance = checkText('instance', options.instance ?? randomId(this.#runtime.random.fork('knobs')), 1, MAX_NAME_LENGTH);
    this.#registry = new Registry(options.buried ?? []);
    this.#cache = cacheFile === undefined ? undefined : new CacheFile(cacheFile, scope, this.#runtime, this.#onError);
    this.#countsChecks = options.countChecks ?? true;
    this.events = new EventSource(`knobs ${service}`, this.#runtime.diagnostics);
    this.#appliedAtMs = this.#runtime.clock.now();
    this.#uses = new KnobUses(this.#registry, this.#table, this.#runtime.clock);
    this.#inForce = new InForce({
      runtime: this.#runtime,
      instance: this.instance,
      registry: this.#registry,
      table: this.#table,
      head: this.#head,
      maxStalenessMs: checkNumber('maxStalenessMs', maxStalenessMs ?? DEFAULT_MAX_STALENESS_MS, 100),
      breakGlassFile: options.breakGlassFile,
      poll: () => this.#source.poll(),
      onChange: this.#onChange,
      onStale: this.#onStale,
      onError: this.#onError,
    });
    const listener = { onReading: this.#onReading, onError: this.#onError };
    this.#source = new StateFollower({ state, scope, pollMs }, this.#runtime, listener);
    this.#reporter = reportMs === 0 ? undefined : this.#reportTo(state, reportMs);
    if (this.#cache !== undefined) void this.#load(this.#cache);
  }

  get ageMs(): number {
    return this.#head.ageMs(this.#runtime.clock.now());
  }

  get revision(): number {
    return this.#head.revision;
  }

  get extension(): CallExtension {
    return this.#inForce.hints;
  }

  get hint(): string | undefined {
    return this.#inForce.hints.text();
  }

  hear(hint: string): void {
    if (typeof hint === 'string') this.#inForce.hints.hear(hint);
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
    const { clock, load } = this.#runtime;
    const counter = () => load.counter(`knob:${definition.name}`) as WorkCounter;
    const meter = new ArmMeter({ clock, counter, onFailed });
    const knob = new (this.#countsChecks ? CountedKnob : TableKnob)(definition, this.#table, this.#table.add(), meter);
    this.#registry.add(knob as unknown as TableKnob);
    this.#inForce.add(definition);
    return knob;
  }

  pin(options?: PinOptions): KnobView {
    return new KnobView(this.#table.state, this.#head.revision, options, this.#runtime.clock);
  }

  level(scope?: LevelScope): Level {
    if (scope === undefined) return this.#inForce.effective.levelOfService(this.service);
    if (!isScope(scope)) throw invalidArgument('scope', scope, "'all', 'service:NAME', 'product:NAME' or 'feature:NAME'");
    return this.#inForce.effective.levelAt(scope);
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
      isStale: this.#inForce.isStale,
      isGlassBroken: this.#inForce.isGlassBroken,
      level: this.level(),
      knobs: [...this.#registry].map(({ definition, index, meter }) => ({
        name: definition.name,
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
    this.#inForce.close();
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
      this.#inForce.hold(reading.snapshot);
      this.#appliedAtMs = this.#runtime.clock.now();
      this.#reporter?.hurry();
    }
    this.#onKnown();
    if (this.#inForce.judge() || news === 'newer') this.#inForce.settle('state');
    const hasTimes = !this.#inForce.seen.isEmpty;
    if (news === 'newer' || (hasTimes && this.#cache?.isDue)) this.#cache?.save(this.#cached);
  };

  readonly #onChange = (changed: ReadonlySet<number>, reason: ChangeReason): void => {
    if (!this.events.has('change')) return;
    const names = [...this.#registry].filter(({ index }) => changed.has(index)).map(({ name }) => name);
    this.events.emit('change', { changed: names, revision: this.revision, reason });
  };

  readonly #onStale = (isStale: boolean): void => {
    if (isStale) this.events.emit('stale', { ageMs: this.ageMs });
    else this.events.emit('fresh', { revision: this.revision });
  };

  readonly #onError = (error: unknown): void => {
    this.#runtime.diagnostics.report(`knobs ${this.service}`, error);
    this.events.emit('error', { error });
  };

  #reportTo(state: KnobsOptions['state'], everyMs: number): Reporter {
    return new Reporter({
      state,
      scope: this.#scope,
      service: this.service,
      instance: this.instance,
      everyMs,
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

  async #load(cache: CacheFile): Promise<void> {
    const cached = await cache.load();
    if (cached === undefined || this.#isClosed || this.#head.epoch !== undefined) return;
    const { clock } = this.#runtime;
    this.#head.restore(cached.epoch, cached.revision);
    this.#inForce.seen.restore(cached.elapsed, clock.wallTime() - cached.savedAt, clock.now());
    this.#inForce.hold(cached.snapshot);
    this.#onKnown();
    this.#inForce.settle('state');
  }

  #onKnown(): void {
    this.#isKnown = true;
    for (const wake of this.#ready.splice(0)) wake();
  }

  readonly #cached = (): CachedState => ({
    epoch: this.#head.epoch ?? '',
    revision: this.#head.revision,
    savedAt: this.#runtime.clock.wallTime(),
    elapsed: this.#inForce.seen.elapsed(this.#runtime.clock.now()),
    snapshot: this.#inForce.snapshot,
  });
}
