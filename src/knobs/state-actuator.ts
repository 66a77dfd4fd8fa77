/** The actuator on a state transport: plans from reports, compare-and-set for flips, and a second look at what it did. */
import type { Clock } from '../core/clock.js';
import { checkInteger, checkNumber, EvenkeelError, invalidArgument, isEvenkeelError } from '../core/errors.js';
import { within } from '../core/internal/within.js';
import { randomId } from '../core/random.js';
import { createRuntime, type Runtime } from '../core/runtime.js';
import type { StateTransport } from '../core/transport/state.js';
import type { Actuator, ActuatorOptions, FlipOptions, Flipped, Plan, Propagation } from './actuator.js';
import { applyChange, type KnobChange } from './change.js';
import { checkText, MAX_NAME_LENGTH } from './definition.js';
import { headKey, readSnapshot, removeParts, writeSnapshot } from './document.js';
import { disagreeing, type Fleet, readFleet } from './fleet.js';
import { checkFlipOptions, DEFAULT_RAMP_MS, DEFAULT_TTL_MS } from './flip-options.js';
import { decodeHistory, type HistoryEntry, historyPrefix, writeHistory } from './history.js';
import { type Level, NORMAL_LEVEL } from './level.js';
import { listEntries } from './listed.js';
import { planOf } from './plan.js';
import { PropagationWatch } from './propagation.js';
import { proposalKey, proposalsPrefix, readProposal, writeProposal } from './proposal.js';
import { EMPTY_SNAPSHOT, type Flip, type KnobSnapshot, type LevelScope, MAX_REASON_LENGTH } from './snapshot.js';

const DEFAULT_WITHIN_MS = 30_000;
const LIST_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 500;
const GUARD_EVERY_MS = 1000;
const MAX_RACES = 100;
/** Times of writes that are remembered for `propagation`. */
const MAX_WRITES = 100;

/**
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts
 * import { createActuator } from 'evenkeel/knobs';
 * import { createMemoryState } from 'evenkeel/memory';
 *
 * const actuator = createActuator({ state: createMemoryState(), actor: 'ada' });
 * const { id } = await actuator.setLevel('product:Search', 2, { reason: 'INC-7: region lost', ttlMs: 600_000 });
 * ```
 */
export function createActuator(options: ActuatorOptions): Actuator {
  return new StateActuator(options);
}

interface Held {
  readonly snapshot: KnobSnapshot;
  readonly revision: number;
  readonly head: Uint8Array | undefined;
}

class StateActuator implements Actuator {
  readonly actor: string;
  readonly #state: StateTransport;
  readonly #scope: string;
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #writes = new Map<number, number>();

  constructor({ actor, runtime = createRuntime(), scope = 'default', state }: ActuatorOptions) {
    if (typeof state?.put !== 'function') throw invalidArgument('state', state, 'a StateTransport');
    this.actor = checkText('actor', actor, 1, MAX_NAME_LENGTH);
    this.#scope = checkText('scope', scope, 1, MAX_NAME_LENGTH);
    this.#state = state;
    this.#runtime = runtime;
    this.#clock = runtime.clock;
  }

  async plan(change: KnobChange): Promise<Plan> {
    const [{ revision, snapshot }, fleet] = await Promise.all([this.#read(), this.#fleet()]);
    return planOf(change, snapshot, fleet, revision);
  }

  setLevel(scope: LevelScope, level: Level, options: FlipOptions): Promise<Flipped> {
    return this.#flip({ type: 'level', scope, level }, options);
  }

  set(
    knob: string,
    { cohorts, dose, requests }: { dose: number; requests?: number; cohorts?: readonly number[] },
    options: FlipOptions,
  ): Promise<Flipped> {
    checkInteger('dose', dose, 0, 255);
    return this.#flip(
      { type: 'knob', knob, dose, ...(requests === undefined ? undefined : { requests }), ...(cohorts && { cohorts }) },
      options,
    );
  }

  release(what: { scope: LevelScope } | { knob: string } | 'all', options: Omit<FlipOptions, 'canary'>): Promise<Flipped> {
    if (what === 'all') return this.#flip({ type: 'release-all' }, options);
    if ('scope' in what) return this.#flip({ type: 'level', scope: what.scope, level: NORMAL_LEVEL }, options);
    return this.#flip({ type: 'knob', knob: what.knob, dose: undefined }, options);
  }

  async approve(id: string, options: { signal?: AbortSignal } = {}): Promise<Flipped> {
    const proposal = await readProposal(this.#state, this.#scope, id);
    if (proposal === undefined)
      throw new EvenkeelError('not-found', `there is no proposal ${id}: it was made, or its time is over`);
    if (proposal.actor === this.actor)
      throw new EvenkeelError('permission-denied', `${this.actor} proposed this; a second person has to approve it`);
    const by = { approvedBy: this.actor, actor: proposal.actor, id };
    const flipped = await this.#apply(proposal.change, { ...proposal.options, ...options }, by);
    await this.#state.delete(proposalKey(this.#scope, id));
    return flipped;
  }

  async proposals(): Promise<readonly HistoryEntry[]> {
    return this.#entries(proposalsPrefix(this.#scope));
  }

  async history({ limit = 100 }: { limit?: number } = {}): Promise<readonly HistoryEntry[]> {
    checkInteger('limit', limit, 1);
    return (await this.#entries(historyPrefix(this.#scope))).reverse().slice(0, limit);
  }

  async status(): ReturnType<Actuator['status']> {
    const [{ revision, snapshot }, fleet] = await Promise.all([this.#read(), this.#fleet()]);
    const uses = fleet.instances.flatMap(({ knobs }) => knobs);
    return { revision, snapshot, instances: fleet.instances.length, disagreeing: disagreeing(fleet), uses };
  }

  async propagation(
    revision: number,
    {
      onProgress,
      signal,
      withinMs = DEFAULT_WITHIN_MS,
    }: { withinMs?: number; onProgress?: (so: Propagation) => void; signal?: AbortSignal } = {},
  ): Promise<Propagation> {
    const untilMs = this.#clock.now() + checkNumber('withinMs', withinMs, 0);
    using watch = new PropagationWatch(this.#state, this.#scope, this.#clock, revision, this.#writes.get(revision));
    await within(this.#clock, LIST_WITHIN_MS, () => watch.listed);
    for (;;) {
      const { so } = watch;
      onProgress?.(so);
      if (so.applied === so.total || this.#clock.now() >= untilMs) return so;
      await this.#clock.sleep(LOOK_EVERY_MS, signal, true);
    }
  }

  async #flip(change: KnobChange, options: FlipOptions): Promise<Flipped> {
    checkFlipOptions(options);
    const id = randomId(this.#runtime.random);
    const isSevere = change.type === 'level' && change.level === 1;
    if (!isSevere || options.breakGlass) return this.#apply(change, options, { approvedBy: null, actor: this.actor, id });
    await this.#checkFleet(change, options);
    const { revision, snapshot } = await this.#read();
    const entry = this.#entry(change, options, revision, { approvedBy: null, actor: this.actor, id });
    // What could not be made is not proposed.
    applyChange(snapshot, change, flipOf(entry, options, 1));
    await writeProposal(this.#state, this.#scope, entry, options);
    return { id, outcome: 'proposed', revision: 0 };
  }

  /** One stage after the other, each with its guard. */
  async #apply(change: KnobChange, options: FlipOptions, by: By): Promise<Flipped> {
    const { canary, guard } = options;
    await this.#checkFleet(change, options);
    let stage = by;
    let first: Written | undefined;
    if (canary !== undefined) {
      first = await this.#write(change, options, by, canary.instances, options.expect);
      await this.#watch(canary.forMs, first, options, by);
      stage = { ...by, id: `${by.id}.all` };
    }
    const last = await this.#write(change, options, stage, 1, first?.revision ?? options.expect);
    if (guard !== undefined) await this.#watch(guard.forMs, { ...last, before: (first ?? last).before }, options, by);
    return { id: by.id, outcome: 'applied', revision: last.revision };
  }

  /** `expect`: over that state only; else over whatever is there when it is written. */
  async #write(
    change: KnobChange,
    options: FlipOptions,
    by: By,
    instances: number,
    expect: number | undefined,
  ): Promise<Written> {
    for (let race = 1; ; race++) {
      const held = await this.#read();
      if (expect !== undefined && held.revision !== expect)
        throw new EvenkeelError(
          'aborted',
          `the state of knobs is at revision ${held.revision}, and not at ${expect}: look again`,
          {
            details: { revision: held.revision, expect },
          },
        );
      const entry = this.#entry(change, options, held.revision, by);
      const next = applyChange(held.snapshot, change, flipOf(entry, options, instances));
      // Before the change: what was done is always told, and what was only tried as well.
      if (race === 1) await writeHistory(this.#state, this.#scope, entry);
      const revision = await this.#put(next, held).catch((error) => {
        if (!isEvenkeelError(error, 'aborted') || expect !== undefined || race >= MAX_RACES) throw error;
        return undefined;
      });
      if (revision !== undefined) return { before: held.snapshot, revision };
    }
  }

  async #put(next: KnobSnapshot, { head, revision: expect }: Held): Promise<number> {
    const startedAt = this.#clock.now();
    const id = randomId(this.#runtime.random);
    const revision = await writeSnapshot(this.#state, this.#scope, next, expect === 0 ? 'absent' : expect, id);
    this.#writes.set(revision, startedAt);
    if (this.#writes.size > MAX_WRITES) this.#writes.delete(this.#writes.keys().next().value as number);
    if (head !== undefined) {
      await removeParts(this.#state, this.#scope, head).catch((error) => {
        this.#runtime.diagnostics.report('knob actuator', error);
      });
    }
    return revision;
  }

  /** Throws what it was taken back for; returns when all was well for so long. */
  async #watch(forMs: number, written: Written, options: FlipOptions, by: By): Promise<void> {
    const { guard, signal } = options;
    const untilMs = this.#clock.now() + forMs;
    while (this.#clock.now() < untilMs) {
      await this.#clock.sleep(Math.min(GUARD_EVERY_MS, untilMs - this.#clock.now()), signal, true);
      if (guard === undefined) continue;
      let cause: unknown;
      try {
        if (await guard.isHealthy()) continue;
      } catch (error) {
        cause = error;
      }
      const revision = await this.#putBack(written, options, by);
      throw new EvenkeelError('aborted', 'the guard said no: what was there before is back', {
        cause,
        details: { reverted: true, revision },
      });
    }
  }

  /** What was in force before; over what this flip wrote, and nothing else. */
  async #putBack({ before, revision }: Written, options: FlipOptions, by: By): Promise<number> {
    const held = await this.#read();
    if (held.revision !== revision)
      throw new EvenkeelError('aborted', 'the guard said no, and others have turned knobs since: nothing was put back', {
        details: { reverted: false, revision: held.revision },
      });
    const reason = `reverted by its guard: ${options.reason}`.slice(0, MAX_REASON_LENGTH);
    const back = { ...by, id: `${by.id}.back` };
    await writeHistory(
      this.#state,
      this.#scope,
      this.#entry({ type: 'revert', of: by.id }, { ...options, reason }, revision, back),
    );
    return this.#put(before, held);
  }

  #entry(
    change: HistoryEntry['change'],
    options: FlipOptions,
    fromRevision: number,
    { actor, approvedBy, id }: By,
  ): HistoryEntry {
    const { breakGlass = false, reason, ttlMs = DEFAULT_TTL_MS } = options;
    const atMs = this.#clock.wallTime();
    return { id, actor, approvedBy, isBreakGlass: breakGlass, reason, atMs, ttlMs, change, fromRevision };
  }

  async #checkFleet(change: KnobChange, { force }: FlipOptions): Promise<void> {
    if (force) return;
    const fleet = await this.#fleet();
    const apart = disagreeing(fleet);
    if (apart.length > 0)
      throw new EvenkeelError(
        'failed-precondition',
        `instances of ${apart.join(', ')} do not agree on their knobs: force it, or wait`,
        {
          details: { disagreeing: apart },
        },
      );
    if (change.type !== 'knob' || fleet.instances.length === 0) return;
    const isKnown = [...fleet.registries.values()].flat().some(({ knobs }) => knobs.some(({ name }) => name === change.knob));
    if (!isKnown)
      throw new EvenkeelError('failed-precondition', `no instance knows the knob ${change.knob}`, {
        details: { knob: change.knob },
      });
  }

  async #read(): Promise<Held> {
    const entry = await this.#state.get(headKey(this.#scope));
    if (entry === undefined) return { snapshot: EMPTY_SNAPSHOT, revision: 0, head: undefined };
    const snapshot = await readSnapshot(this.#state, this.#scope, entry.value);
    return { snapshot, revision: entry.revision, head: entry.value };
  }

  async #entries(prefix: string): Promise<HistoryEntry[]> {
    const entries = await listEntries(this.#state, prefix, this.#clock, LIST_WITHIN_MS);
    const keyed = entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    return keyed.flatMap(({ value }) => decodeHistory(value) ?? []);
  }

  #fleet(): Promise<Fleet> {
    return readFleet(this.#state, this.#scope, this.#clock, LIST_WITHIN_MS);
  }
}

/** What a stage of a flip wrote, and over what. */
interface Written {
  readonly before: KnobSnapshot;
  readonly revision: number;
}

interface By {
  readonly id: string;
  readonly actor: string;
  readonly approvedBy: string | null;
}

function flipOf(
  { actor, atMs, id, reason, ttlMs }: HistoryEntry,
  { rampMs = DEFAULT_RAMP_MS }: FlipOptions,
  instances: number,
): Flip {
  return { id, actor, reason, atMs, ttlMs, rampMs, instances };
}
