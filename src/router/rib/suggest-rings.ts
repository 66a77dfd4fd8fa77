/**
 * Bounds of rings from measured round trips.
 *
 * Where are the bounds? In the widest gaps. Round trips differ by factors, not by milliseconds, so a gap is the ratio of two neighbours
 * in order; a bound stands in the middle of its gap, where measuring errors tip nobody over.
 */
import { checkInteger, checkNumber, EvenkeelError, invalidArgument } from '../../core/errors.js';
import type { Rtt } from './locality.js';

export interface SuggestedRings {
  /** For `rings.boundsMs`. Empty: all are about as far, one ring is enough. */
  readonly boundsMs: readonly number[];
  /** Of each ring, the last one included: how many of the round trips are in it, and from where to where they go. */
  readonly rings: readonly { readonly count: number; readonly minMs: number; readonly maxMs: number }[];
}

export interface SuggestRingsOptions {
  /** At most this many. Default 4; 1 to 8. */
  rings?: number;
  /** Neighbours in order that differ by less than this factor are in one ring. Default 1.5; above 1. */
  minRatio?: number;
}

export const DEFAULT_MAX_RINGS = 4;
export const DEFAULT_MIN_RATIO = 1.5;
/** Added before factors are taken: what matters least is how much less than a millisecond something takes. */
const OFFSET_MS = 1;
const MAX_RTTS = 1_000_000;

/**
 * Suggests bounds by the widest gaps between the round trips. Pure; costs one sort.
 *
 * @example
 * ```ts
 * import { suggestRings } from 'evenkeel/router';
 *
 * console.log(suggestRings([0.4, 0.9, 1.1, 11, 14, 70, 85, 150]).boundsMs); // [4, 32, 110]
 * ```
 * @throws {EvenkeelError} `invalid-argument` for no round trips, or one that is no number of milliseconds.
 */
export function suggestRings(rtts: readonly number[], options: SuggestRingsOptions = {}): SuggestedRings {
  const most = checkInteger('rings', options.rings ?? DEFAULT_MAX_RINGS, 1, 8);
  const minRatio = checkNumber('minRatio', options.minRatio ?? DEFAULT_MIN_RATIO, 1);
  if (!Array.isArray(rtts) || rtts.length === 0 || rtts.length > MAX_RTTS)
    throw invalidArgument('rtts', rtts, `1 to ${MAX_RTTS} of them`);
  const sorted = rtts.map((rtt) => checkNumber('rtt', rtt, 0)).sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((rtt, i) => {
    const before = sorted[i] as number;
    return { before, after: rtt, ratio: (rtt + OFFSET_MS) / (before + OFFSET_MS) };
  });
  const boundsMs = gaps
    .filter(({ ratio }) => ratio >= minRatio)
    .sort((a, b) => b.ratio - a.ratio)
    .slice(0, most - 1)
    .map(({ before, after }) => roundWithin(before, after))
    .sort((a, b) => a - b);
  return { boundsMs, rings: tally(sorted, boundsMs) };
}

/**
 * Reads round trips in any of three forms: lines `from,to,ms` (a first line without a number is a heading, `#` begins a comment), a JSON
 * array of `{ from, to, rttMs }`, a JSON object `{ from: { to: ms } }`.
 * @throws {EvenkeelError} `invalid-argument` naming the place of what is none of them.
 */
export function parseRtts(text: string): readonly Rtt[] {
  const start = text.trimStart()[0];
  const rtts = start === '{' || start === '[' ? parseJson(text) : parseLines(text);
  if (rtts.length > MAX_RTTS) throw malformed('the file', `more than ${MAX_RTTS} round trips`);
  return rtts;
}

/** Few digits, for people, unless that leaves the gap. */
function roundWithin(low: number, high: number): number {
  const middle = Math.sqrt((low + OFFSET_MS) * (high + OFFSET_MS)) - OFFSET_MS;
  for (let digits = 2; digits < 10; digits++) {
    const rounded = Number(middle.toPrecision(digits));
    if (rounded >= low && rounded < high) return rounded;
  }
  return low;
}

function tally(sorted: readonly number[], boundsMs: readonly number[]): SuggestedRings['rings'] {
  return [...boundsMs, Number.POSITIVE_INFINITY].map((bound, i) => {
    const above = i === 0 ? Number.NEGATIVE_INFINITY : (boundsMs[i - 1] as number);
    const inside = sorted.filter((rtt) => rtt > above && rtt <= bound);
    return { count: inside.length, minMs: inside[0] ?? Number.NaN, maxMs: inside.at(-1) ?? Number.NaN };
  });
}

function parseJson(text: string): Rtt[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw malformed('the file', 'it is not JSON', error);
  }
  if (Array.isArray(document)) return document.map((row, i) => rttOf(`entry ${i + 1}`, row?.from, row?.to, row?.rttMs));
  return Object.entries(document as object).flatMap(([from, row]) => {
    if (typeof row !== 'object' || row === null) throw malformed(`'${from}'`, 'an object of round trips by locality is expected');
    return Object.entries(row).map(([to, rttMs]) => rttOf(`'${from}' to '${to}'`, from, to, rttMs));
  });
}

function parseLines(text: string): Rtt[] {
  const rtts: Rtt[] = [];
  let isFirst = true;
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const content = line.replace(/#.*$/, '').trim();
    if (content === '') continue;
    const [from, to, ms = '', ...rest] = content.split(/[,;\t]/).map((cell) => cell.trim());
    const isHeading = isFirst && !Number.isFinite(Number.parseFloat(ms));
    isFirst = false;
    if (isHeading) continue;
    if (rest.length > 0) throw malformed(`line ${i + 1}`, 'from,to,milliseconds is expected');
    rtts.push(rttOf(`line ${i + 1}`, from, to, ms === '' ? Number.NaN : Number(ms)));
  }
  return rtts;
}

function rttOf(where: string, from: unknown, to: unknown, rttMs: unknown): Rtt {
  if (typeof from !== 'string' || typeof to !== 'string' || from === '' || to === '')
    throw malformed(where, 'two localities are expected');
  if (typeof rttMs !== 'number' || !(rttMs >= 0) || !Number.isFinite(rttMs))
    throw malformed(where, 'milliseconds of 0 and up are expected');
  return { from, to, rttMs };
}

function malformed(where: string, fault: string, cause?: unknown): EvenkeelError {
  return new EvenkeelError('invalid-argument', `malformed round trips, ${where}: ${fault}`, { cause });
}
