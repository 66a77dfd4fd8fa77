/**
 * How a conformance suite is run: a list of cases, each a fact about a transport, to be handed to any test runner.
 *
 * ```ts
 * for (const { name, run } of stateConformance(harness)) it(name, run);
 * ```
 *
 * A case opens a session of the harness, and so a store of its own; time passes only when the case says `advance`, be it virtual
 * or real. A case that needs what an engine cannot do, by its `traits`, is not in the list.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../core/clock.js';
import { type ErrorCode, type EvenkeelError, isEvenkeelError } from '../core/errors.js';

export interface ConformanceCase {
  /** A statement, true of every transport that conforms. */
  readonly name: string;
  run(): Promise<void>;
}

/** What every session has. */
export interface Session {
  readonly clock: Clock;
  /** Lets `ms` pass, and what became due in it happen. */
  advance(ms: number): Promise<void>;
  /** Closes every transport of the session. Called once, at the end of the case. */
  close(): Promise<void>;
}

/** A store, and transports on it. */
export interface StoreSession<T> extends Session {
  readonly transport: T;
  /** A second client of the same store, as another process would be. */
  another(): Promise<T>;
  /** Closes every client, opens a new one. What was stored is still there when the trait `durable` says so. */
  restart(): Promise<T>;
  /** Moves the calendar, not the monotonic clock. Needs the trait `wallTime`. */
  jumpWallTime?(ms: number): void;
}

export interface Harness<S extends Session, Traits> {
  open(): Promise<S>;
  readonly traits: Traits;
}

export type Body<S extends Session> = (session: S) => Promise<void>;

/** Cases by name; `undefined` for those that the traits rule out. */
export type CaseTable<S extends Session> = Readonly<Record<string, Body<S> | undefined>>;

export function toCases<S extends Session>(harness: Harness<S, unknown>, tables: readonly CaseTable<S>[]): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const table of tables) {
    for (const [name, body] of Object.entries(table)) {
      if (body === undefined) continue;
      const run = async () => {
        const session = await harness.open();
        try {
          await body(session);
        } finally {
          await session.close();
        }
      };
      cases.push({ name, run });
    }
  }
  return cases;
}

const DEFAULT_PATIENCE_MS = 10_000;
const STEP_MS = 20;

/** Lets time pass until `condition` holds. */
export async function eventually(
  session: Session,
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = DEFAULT_PATIENCE_MS,
): Promise<void> {
  const until = session.clock.now() + withinMs;
  while (!(await condition())) {
    if (session.clock.now() >= until) assert.fail(`not within ${withinMs} ms: ${what}`);
    await session.advance(STEP_MS);
  }
}

/** Waits for a promise while time passes. */
export async function settled<T>(
  session: Session,
  what: string,
  promise: Promise<T>,
  withinMs = DEFAULT_PATIENCE_MS,
): Promise<T> {
  let isSettled = false;
  const settle = () => {
    isSettled = true;
  };
  promise.then(settle, settle);
  await eventually(session, what, () => isSettled, withinMs);
  return promise;
}

/** Asserts that an operation fails with an evenkeel error of that code, and returns it. */
export async function fails(code: ErrorCode, what: string, operation: () => unknown): Promise<EvenkeelError> {
  try {
    await operation();
  } catch (error) {
    assert.ok(isEvenkeelError(error), `${what}: expected an evenkeel error, got ${String(error)}`);
    assert.equal(error.code, code, `${what}: ${error.message}`);
    return error;
  }
  return assert.fail(`${what}: expected ${code}, but it succeeded`);
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/** Bytes that differ everywhere, so that a swapped or repeated piece shows. */
export function patternOf(length: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + (i >>> 16) * 3 + salt) & 255;
  return bytes;
}

/** As deepEqual, for megabytes: says where, not what. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = expected.findIndex((byte, index) => byte !== actual[index]);
  assert.fail(`${what}: ${actual.byteLength} bytes for ${expected.byteLength}, first difference at ${at}`);
}

/** Keys and names that no transport takes, and why. */
export const BAD_KEYS: readonly (readonly [reason: string, key: string])[] = [
  ['empty', ''],
  ['a leading slash', '/a'],
  ['a trailing slash', 'a/'],
  ['an empty segment', 'a//b'],
  ['a segment that is a dot', 'a/./b'],
  ['a segment that goes up', 'a/../b'],
  ['nothing but going up', '..'],
  ['a NUL', 'a\0b'],
  ['a line feed', 'a\nb'],
  ['a DEL', 'a\x7fb'],
  ['half a surrogate pair', 'a\ud800b'],
  ['513 bytes', 'k'.repeat(513)],
  ['513 bytes in fewer characters', `${'é'.repeat(256)}k`],
];

/** Keys that every transport takes: hostile to file systems, subjects and patterns, but within the rule. */
export const GOOD_KEYS: readonly string[] = [
  'a',
  'k'.repeat(512),
  'é'.repeat(256),
  'a/b/c/d/e/f/g/h',
  'with space',
  'dots.in.it',
  '.hidden',
  '...',
  'a/..b',
  'star*and>and?',
  'percent%2Fslash',
  'back\\slash',
  'colon:semi;quote"\'',
  'UPPER',
  'upper',
  '\u{1f40b}',
  '$dollar',
  'CON',
  'trailing.',
  '-dash',
  '~tilde',
];
