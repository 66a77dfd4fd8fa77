/**
 * One term of a builder: folds what it watches, and publishes what has changed.
 *
 * How often? A service whose list changed at most every `minIntervalMs`, one whose numbers changed at most every `loadIntervalMs`, and
 * planning all of them takes at most a tenth of the time. However much flaps, readers hear of it at that pace.
 */
import type { Timer } from '../../core/clock.js';
import { isEvenkeelError } from '../../core/errors.js';
import { fanOut } from '../../core/fan-out.js';
import { within } from '../../core/internal/within.js';
import type { Runtime } from '../../core/runtime.js';
import type { StateTransport } from '../../core/transport/state.js';
import { type LastTable, readLastTables } from './last-tables.js';
import { ribPrefix, tokenOf } from './rib-keys.js';
import { type Publication, RibPublisher } from './rib-publisher.js';
import { type Change, RibSources } from './rib-sources.js';
import type { PlanSettings, ServiceFold } from './service-fold.js';

export interface TermOptions {
  readonly state: StateTransport;
  readonly runtime: Runtime;
  readonly token: number;
  readonly signal: AbortSignal;
  /** Segments. */
  readonly only: ReadonlySet<string> | undefined;
  readonly minIntervalMs: number;
  readonly loadIntervalMs: number;
  readonly settings: (segment: string) => PlanSettings;
  readonly onPublished: (segment: string, publication: Publication) => void;
  readonly onMalformed: (key: string, error: unknown) => void;
  readonly onError: (error: unknown) => void;
}

const CONCURRENCY = 16;
const PUBLISH_TIMEOUT_MS = 10_000;
/** Beside the interval itself. */
const RETRY_MS = 800;
/** The table of a service that nobody announces, calls or shards is deleted after this. */
const RETIRE_MS = 600_000;
/** Of the time, for planning and publishing numbers. */
const MAX_LOAD_RATIO = 0.1;

interface Pace {
  listDirty: boolean;
  loadDirty: boolean;
  publishedAt: number;
  foldedAt: number;
  publisher: RibPublisher | undefined;
  /** Nobody has anything to do with the service since then. */
  emptySince: number | undefined;
}

export class BuilderTerm {
  readonly #options: TermOptions;
  readonly #sources: RibSources;
  readonly #paces = new Map<string, Pace>();
  /** Of the builders before; each is dropped once this one has gone on from it. */
  #last: Map<string, LastTable> | undefined;
  #timer: Timer | undefined;
  #isRunning = false;
  #loadIntervalMs: number;
  #retirement: Timer | undefined;
  #lastRetired = 0;
  #isOver = false;

  /** @throws What the store's `watch` throws. */
  constructor(options: TermOptions) {
    this.#options = options;
    this.#loadIntervalMs = options.loadIntervalMs;
    const { state, signal, only, onMalformed } = options;
    this.#sources = new RibSources({ state, only, onMalformed, onChange: (segment, change) => this.#mark(segment, change) });
    signal.addEventListener('abort', () => this.end(), { once: true });
    this.#catchUp();
  }

  get services(): number {
    return this.#sources.folds.size;
  }

  get endpoints(): number {
    let sum = 0;
    for (const fold of this.#sources.folds.values()) sum += fold.size;
    return sum;
  }

  get ageMs(): number {
    return this.#sources.ageMs;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#retirement?.cancel();
    this.#sources.close();
  }

  /** Nothing is published before it is known what is there. */
  #catchUp(): void {
    const { state, signal, runtime, onMalformed, onError } = this.#options;
    readLastTables(state, signal, onMalformed).then(
      (last) => {
        this.#last = last;
        this.#arm();
      },
      (error) => {
        if (this.#isOver) return;
        onError(error);
        runtime.clock.timer(RETRY_MS, () => !this.#isOver && this.#catchUp());
      },
    );
  }

  #mark(segment: string | undefined, change: Change): void {
    const segments = segment === undefined ? this.#sources.folds.keys() : [segment];
    for (const of of segments) {
      if (!this.#sources.folds.has(of)) continue;
      const pace = this.#paceOf(of);
      if (change === 'list') pace.listDirty = true;
      else pace.loadDirty = true;
    }
    this.#arm();
  }

  #paceOf(segment: string): Pace {
    const known = this.#paces.get(segment);
    if (known !== undefined) return known;
    const never = Number.NEGATIVE_INFINITY;
    const pace: Pace = {
      listDirty: false,
      loadDirty: false,
      publishedAt: never,
      foldedAt: never,
      publisher: undefined,
      emptySince: undefined,
    };
    this.#paces.set(segment, pace);
    return pace;
  }

  /** One timer, at the finer pace, while there is something to do. */
  #arm(): void {
    if (this.#timer !== undefined || this.#isRunning || this.#isOver) return;
    this.#timer = this.#options.runtime.clock.timer(this.#options.minIntervalMs, () => {
      this.#timer = undefined;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    if (this.#last === undefined || !this.#sources.isComplete) return;
    const { clock } = this.#options.runtime;
    const startedAt = clock.now();
    this.#isRunning = true;
    const due = [...this.#paces].filter(([, pace]) => this.#isDue(pace, startedAt));
    const isLoad = due.some(([, pace]) => !pace.listDirty);
    await fanOut(due, ([segment, pace]) => this.#publish(segment, pace), { concurrency: CONCURRENCY });
    this.#isRunning = false;
    if (isLoad) this.#loadIntervalMs = Math.max(this.#options.loadIntervalMs, (clock.now() - startedAt) / MAX_LOAD_RATIO);
    for (const { listDirty, loadDirty } of this.#paces.values()) if (listDirty || loadDirty) return this.#arm();
  }

  #isDue({ listDirty, loadDirty, publishedAt, foldedAt }: Pace, now: number): boolean {
    if (listDirty) return now - publishedAt >= this.#options.minIntervalMs;
    return loadDirty && now - foldedAt >= this.#loadIntervalMs;
  }

  /** Never rejects: what failed is tried again. */
  async #publish(segment: string, pace: Pace): Promise<void> {
    const { runtime, settings, onPublished, onError } = this.#options;
    const fold = this.#sources.folds.get(segment);
    if (fold === undefined || this.#isOver) return;
    const { clock } = runtime;
    const wasList = pace.listDirty;
    pace.listDirty = false;
    pace.loadDirty = false;
    pace.foldedAt = clock.now();
    if (wasList) pace.publishedAt = pace.foldedAt;
    try {
      pace.publisher ??= this.#goOn(segment, fold);
      const { publisher } = pace;
      const before = fold.plan;
      const content = fold.fold(pace.foldedAt, this.#sources.rtts, settings(segment));
      // A plan that is on its way goes on although nothing else changes.
      if (JSON.stringify(before?.clients) !== JSON.stringify(fold.plan?.clients)) pace.loadDirty = true;
      const publication = await within(clock, PUBLISH_TIMEOUT_MS, (deadline) => {
        return publisher.publish(content, AbortSignal.any([deadline, this.#options.signal]));
      });
      if (publication !== undefined && !this.#isOver) onPublished(segment, publication);
      pace.emptySince = fold.isEmpty ? (pace.emptySince ?? clock.now()) : undefined;
      if (pace.emptySince !== undefined) this.#armRetirement();
    } catch (error) {
      if (this.#isOver) return;
      onError(error);
      // A later term has begun; this one will hear of it.
      if (isEvenkeelError(error, 'aborted')) this.end();
      pace.listDirty = true;
      pace.publishedAt = clock.now() + RETRY_MS;
    }
  }

  #goOn(segment: string, fold: ServiceFold): RibPublisher {
    const { state, token } = this.#options;
    const { version = 0, table, keys = [] } = this.#last?.get(segment) ?? {};
    this.#last?.delete(segment);
    fold.resume(table?.routing.plan);
    const prefix = ribPrefix(segment);
    // What a later term has written by now is none of our business.
    const garbage = keys.filter((key) => (tokenOf(prefix, key) ?? token) < token);
    return new RibPublisher({
      state,
      prefix,
      service: segment,
      token,
      lastVersion: Math.max(version, this.#lastRetired),
      garbage,
    });
  }

  #armRetirement(): void {
    this.#retirement ??= this.#options.runtime.clock.timer(RETIRE_MS, () => {
      this.#retirement = undefined;
      void this.#retire();
    });
  }

  /** Services that are no more cost nothing after a while. */
  async #retire(): Promise<void> {
    const { runtime, signal, onError } = this.#options;
    const { clock } = runtime;
    for (const [segment, { emptySince, publisher }] of this.#paces) {
      if (this.#isOver) return;
      if (emptySince === undefined) continue;
      if (clock.now() - emptySince < RETIRE_MS || !this.#sources.folds.get(segment)?.isEmpty) {
        this.#armRetirement();
        continue;
      }
      this.#sources.folds.delete(segment);
      this.#paces.delete(segment);
      if (publisher === undefined) continue;
      // Should it come back, nobody may take its new tables for older ones.
      this.#lastRetired = Math.max(this.#lastRetired, publisher.table.version);
      await within(clock, PUBLISH_TIMEOUT_MS, (deadline) => publisher.remove(AbortSignal.any([deadline, signal]))).catch(onError);
    }
  }
}
