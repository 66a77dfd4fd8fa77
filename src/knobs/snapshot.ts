/**
 * The state of all knobs of a scope, one document: `{ v: 1, levels, knobs }`. State, and not a stream of changes: whoever holds the newest has all
 * of it.
 *
 * When does a flip end? After `ttlMs`, counted on each instance's own monotonic clock from the moment it first saw it, so that it ends in a process that
 * is cut off, too; clocks of two machines are never compared. `atMs`, the writer's calendar, is for people.
 *
 * How does it end? What eases (a milder level, a smaller dose, a release, the end of `ttlMs`) does so over `rampMs`, each instance at a moment of its own:
 * a fleet that takes all its work back at once is overloaded again (Defcon, figure 15: 40 % more within a minute). What tightens does so at once.
 */
import { COHORTS } from '../core/cohort.js';
import { checkInteger, checkNumber, EvenkeelError, invalidArgument } from '../core/errors.js';
import { checkText, isKnobName, MAX_DOSE, MAX_NAME_LENGTH } from './definition.js';
import { isLevel, type Level, NORMAL_LEVEL } from './level.js';

/** Whom a level is for: `all`, or `service`, `product` or `feature` and its name. */
export type LevelScope = 'all' | `${'service' | 'product' | 'feature'}:${string}`;

export interface Flip {
  /** Drawn anew by each flip; 1 to 64 characters. */
  readonly id: string;
  /** Who, and why. */
  readonly actor: string;
  readonly reason: string;
  /** The writer's wall time, ms. */
  readonly atMs: number;
  /** Milliseconds; 0: it does not end by itself. */
  readonly ttlMs: number;
  readonly rampMs: number;
  /** Share of the instances that take part, by hash of their names: the canary stage. 0 to 1. The others stay at `from`. */
  readonly instances: number;
}

export interface LevelFlip extends Flip {
  readonly scope: LevelScope;
  /** 4: it is being released. */
  readonly level: Level;
  /** What was in force before. */
  readonly from: Level;
}

export interface KnobFlip extends Flip {
  readonly knob: string;
  /** 0: held off, whatever the level. Undefined: it is being released, to what the level says. */
  readonly dose: number | undefined;
  /** What was in force before. Undefined: what the level said. */
  readonly from: number | undefined;
  /** Share of the requests, by hash of their keys. 1: all, and then it is the process's value. */
  readonly requests: number;
  /** Cohorts of users besides, 0 to 127. */
  readonly cohorts: readonly number[];
}

export interface KnobSnapshot {
  readonly levels: readonly LevelFlip[];
  readonly knobs: readonly KnobFlip[];
}

export const EMPTY_SNAPSHOT: KnobSnapshot = Object.freeze({ levels: [], knobs: [] });
export const MAX_FLIPS = 20_000;
const MAX_ID_LENGTH = 64;
export const MAX_REASON_LENGTH = 500;
const LONGEST_MS = 365 * 24 * 3_600_000;

export function encodeSnapshot({ knobs, levels }: KnobSnapshot): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, levels, knobs }));
}

/**
 * Whole or not at all: one bad entry and the document is refused, since what is left out might be what saves the day. Unknown fields are ignored.
 * @throws {EvenkeelError} `data-loss` for what is no snapshot; `unimplemented` for one of a later schema.
 */
export function decodeSnapshot(bytes: Uint8Array): KnobSnapshot {
  let version: unknown;
  try {
    const document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    version = document?.v;
    if (version === 1) return checkSnapshot(document);
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    throw new EvenkeelError('data-loss', `this is no state of knobs: ${fault}`, { cause: error });
  }
  if (Number.isInteger(version) && (version as number) > 1)
    throw new EvenkeelError('unimplemented', `the state of knobs has version ${version}; this release reads version 1`);
  throw new EvenkeelError('data-loss', `the state of knobs has version ${version}; expected 1`);
}

/** @throws {EvenkeelError} `invalid-argument` naming what is wrong. */
export function checkSnapshot(value: unknown): KnobSnapshot {
  const { knobs, levels } = fieldsOf('snapshot', value);
  const levelFlips = listOf('levels', levels).map(checkLevelFlip);
  const knobFlips = listOf('knobs', knobs).map(checkKnobFlip);
  if (levelFlips.length + knobFlips.length > MAX_FLIPS)
    throw invalidArgument('flips', levelFlips.length + knobFlips.length, `at most ${MAX_FLIPS}`);
  checkUnique('scope', levelFlips, ({ scope }) => scope);
  checkUnique('knob', knobFlips, ({ knob }) => knob);
  return { levels: levelFlips, knobs: knobFlips };
}

export function isScope(value: unknown): value is LevelScope {
  if (value === 'all') return true;
  const match = typeof value === 'string' ? /^(?:service|product|feature):(.+)$/su.exec(value) : null;
  return match !== null && (match[1] as string).length <= MAX_NAME_LENGTH;
}

function checkLevelFlip(value: unknown): LevelFlip {
  const { from = NORMAL_LEVEL, level, scope, ...flip } = fieldsOf('level', value);
  if (!isScope(scope)) throw invalidArgument('scope', scope, "'all', 'service:NAME', 'product:NAME' or 'feature:NAME'");
  if (!isLevel(level)) throw invalidArgument(`level of ${scope}`, level, '1 to 4');
  if (!isLevel(from)) throw invalidArgument(`from of ${scope}`, from, '1 to 4');
  return { ...checkFlip(scope, flip), scope, level, from };
}

function checkKnobFlip(value: unknown): KnobFlip {
  const { cohorts = [], dose, from, knob, requests = 1, ...flip } = fieldsOf('knob', value);
  if (!isKnobName(knob)) throw invalidArgument('knob', knob, "'Product/Feature'");
  return {
    ...checkFlip(knob, flip),
    knob,
    dose: checkDose(`dose of ${knob}`, dose),
    from: checkDose(`from of ${knob}`, from),
    requests: checkNumber(`requests of ${knob}`, requests as number, 0, 1),
    cohorts: listOf(`cohorts of ${knob}`, cohorts).map((one) => checkInteger(`cohort of ${knob}`, one as number, 0, COHORTS - 1)),
  };
}

function checkDose(what: string, value: unknown): number | undefined {
  return value === undefined ? undefined : checkInteger(what, value as number, 0, MAX_DOSE);
}

function checkFlip(of: string, fields: Record<string, unknown>): Flip {
  const { actor, atMs, id, instances = 1, rampMs = 0, reason, ttlMs } = fields;
  return {
    id: checkText(`id of ${of}`, id, 1, MAX_ID_LENGTH),
    actor: checkText(`actor of ${of}`, actor, 1, MAX_NAME_LENGTH),
    reason: checkText(`reason of ${of}`, reason, 1, MAX_REASON_LENGTH),
    atMs: checkNumber(`atMs of ${of}`, atMs as number, 0),
    ttlMs: checkNumber(`ttlMs of ${of}`, ttlMs as number, 0, LONGEST_MS),
    rampMs: checkNumber(`rampMs of ${of}`, rampMs as number, 0, LONGEST_MS),
    instances: checkNumber(`instances of ${of}`, instances as number, 0, 1),
  };
}

function fieldsOf(what: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalidArgument(what, value, 'an object');
}

function listOf(what: string, value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw invalidArgument(what, value, 'a list');
}

function checkUnique<T>(what: string, list: readonly T[], keyOf: (item: T) => string): void {
  const seen = new Set<string>();
  for (const item of list) {
    const key = keyOf(item);
    if (seen.has(key)) throw invalidArgument(what, key, 'one flip of it');
    seen.add(key);
  }
}
