/**
 * Many similar strings as one: each says how much of the one before it begins and ends with, and what stands in between.
 *
 * Why one string and not an array? JSON takes three bytes for a string's quotes and comma, and parses one long string several times
 * faster than many short ones. Lengths are single characters that JSON does not escape.
 */
import { asArray, asString, malformed } from './document-fields.js';

/** DEL: JSON does not escape it, and no name should hold it; a column where one does is an array. */
const SEPARATOR = '\x7f';
const ZERO = 35;
/** From '#' to '['. */
const MAX_SHARED = 56;

export type StringColumn = string | readonly string[];

export function encodeColumn(values: readonly string[]): StringColumn {
  if (values.some((value) => value.includes(SEPARATOR))) return values;
  let before = '';
  return values
    .map((value) => {
      const start = sharedStart(before, value);
      const end = sharedEnd(before, value, start);
      before = value;
      return String.fromCharCode(ZERO + start, ZERO + end) + value.slice(start, value.length - end);
    })
    .join(SEPARATOR);
}

/** @throws {EvenkeelError} `invalid-argument` for anything but a column of `count` strings. */
export function decodeColumn(what: string, column: unknown, count: number, maxLength: number): readonly string[] {
  if (Array.isArray(column)) return asArray(what, column, count).map((value) => asString(what, value, maxLength));
  if (typeof column !== 'string') throw malformed(what, 'a column is expected');
  const items = column === '' && count === 0 ? [] : column.split(SEPARATOR);
  if (items.length !== count) throw malformed(what, `${items.length} rows; expected ${count}`);
  let before = '';
  return items.map((item) => {
    const start = item.charCodeAt(0) - ZERO;
    const end = item.charCodeAt(1) - ZERO;
    // Comparisons with NaN, of an item too short, are false.
    if (!(start >= 0 && end >= 0 && start + end <= before.length))
      throw malformed(what, 'a row does not follow from the one before');
    before = before.slice(0, start) + item.slice(2) + (end === 0 ? '' : before.slice(-end));
    if (before.length > maxLength) throw malformed(what, `a row of more than ${maxLength} characters`);
    return before;
  });
}

function sharedStart(a: string, b: string): number {
  const max = Math.min(a.length, b.length, MAX_SHARED);
  let shared = 0;
  while (shared < max && a.charCodeAt(shared) === b.charCodeAt(shared)) shared++;
  return shared;
}

function sharedEnd(a: string, b: string, start: number): number {
  const max = Math.min(a.length - start, b.length - start, MAX_SHARED);
  let shared = 0;
  while (shared < max && a.charCodeAt(a.length - 1 - shared) === b.charCodeAt(b.length - 1 - shared)) shared++;
  return shared;
}
