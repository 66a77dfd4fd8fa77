/**
 * What a snapshot means for one knob in one instance at one moment; a pure function, which also tells when the answer will be another.
 *
 * A flip of the knob itself wins over levels. Of the levels whose scope the knob is in, the most severe counts, and the knob is on if its own level is at
 * least that: level 2 turns on the knobs of levels 3 and 2.
 */
import type { KnobDefinition } from './definition.js';
import { hashOf, mix, shareOf } from './hash.js';
import type { KnobRule } from './knob-table.js';
import { type KnobLevel, type Level, NORMAL_LEVEL } from './level.js';
import type { Flip, KnobFlip, KnobSnapshot, LevelFlip, LevelScope } from './snapshot.js';

export interface EffectiveDose {
  /** The process's. */
  readonly dose: number;
  readonly rule: KnobRule | undefined;
}

/** Drawn once from the instance's name, for each flip anew: who takes part, and who lets go first. */
const TAKES_PART = 1;
const LETS_GO = 2;

export class Effective {
  readonly #instance: number;
  readonly #levels = new Map<LevelScope, LevelFlip>();
  readonly #knobs = new Map<string, KnobFlip>();
  readonly #told: Level;
  readonly #elapsedOf: (flip: Flip) => number;
  /** Milliseconds until something that was asked for becomes another; Infinity: it stays. */
  changesInMs = Number.POSITIVE_INFINITY;

  /**
   * @param elapsedOf - Milliseconds since this instance first saw a flip.
   * @param told - Not above this level, whatever the snapshot says.
   */
  constructor(snapshot: KnobSnapshot, instance: string, elapsedOf: (flip: Flip) => number, told: Level = NORMAL_LEVEL) {
    this.#told = told;
    this.#instance = hashOf(instance);
    this.#elapsedOf = elapsedOf;
    for (const flip of snapshot.levels) this.#levels.set(flip.scope, flip);
    for (const flip of snapshot.knobs) this.#knobs.set(flip.knob, flip);
  }

  levelOf({ feature, product, service }: Pick<KnobDefinition, 'feature' | 'product' | 'service'>): Level {
    const scopes: LevelScope[] = ['all', `service:${service}`, `product:${product}`, `feature:${feature}`];
    return Math.min(this.#told, ...scopes.map((scope) => this.levelAt(scope))) as Level;
  }

  levelAt(scope: LevelScope): Level {
    const flip = this.#levels.get(scope);
    if (flip === undefined) return NORMAL_LEVEL;
    const { from, level } = flip;
    if (!this.#takesPart(flip)) return this.#hasEnded(flip) ? NORMAL_LEVEL : from;
    if (this.#hasEnded(flip)) return NORMAL_LEVEL;
    return level > from && !this.#hasLetGo(flip) ? from : level;
  }

  /** Of a service as a whole. */
  levelOfService(service: string): Level {
    return Math.min(this.#told, this.levelAt('all'), this.levelAt(`service:${service}`)) as Level;
  }

  doseOf(definition: KnobDefinition): EffectiveDose {
    const level = this.levelOf(definition);
    const byLevel = level > definition.level ? 0 : (definition.doses[(level as KnobLevel) - 1] as number);
    const flip = this.#knobs.get(definition.name);
    if (flip === undefined || this.#hasEnded(flip)) return { dose: byLevel, rule: undefined };
    const before = flip.from ?? byLevel;
    if (!this.#takesPart(flip)) return { dose: before, rule: undefined };
    const dose = flip.dose ?? byLevel;
    const isPartial = flip.dose !== undefined && (flip.requests < 1 || flip.cohorts.length > 0);
    if (isPartial) return { dose: byLevel, rule: ruleOf(flip, dose) };
    return { dose: dose < before && !this.#hasLetGo(flip) ? before : dose, rule: undefined };
  }

  #takesPart({ id, instances }: Flip): boolean {
    return instances >= 1 || shareOf(mix(this.#instance, hashOf(id, TAKES_PART))) < instances;
  }

  #hasLetGo(flip: Flip): boolean {
    return this.#isPast(flip, this.#rampOf(flip));
  }

  #hasEnded(flip: Flip): boolean {
    return flip.ttlMs > 0 && this.#isPast(flip, flip.ttlMs + this.#rampOf(flip));
  }

  /** When in the ramp it is this instance's turn. */
  #rampOf({ id, rampMs }: Flip): number {
    return rampMs * shareOf(mix(this.#instance, hashOf(id, LETS_GO)));
  }

  #isPast(flip: Flip, ms: number): boolean {
    const left = ms - this.#elapsedOf(flip);
    if (left <= 0) return true;
    this.changesInMs = Math.min(this.changesInMs, left);
    return false;
  }
}

function ruleOf({ cohorts, id, requests }: KnobFlip, dose: number): KnobRule {
  const bits = cohorts.length === 0 ? undefined : new Uint8Array(16);
  if (bits !== undefined) for (const cohort of cohorts) bits[cohort >> 3] = (bits[cohort >> 3] as number) | (1 << (cohort & 7));
  return { dose, requests, cohorts: bits, salt: hashOf(id) };
}
