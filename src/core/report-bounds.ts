/**
 * How much of a load board is told to whoever asks for all of it: as much as our own reader takes, 256 metrics and 16 KiB, in any
 * encoding. The largest numbers are told first; an idle model is left out, which reads as the 0 it is.
 */
import { MAX_NAME_LENGTH, UNFIT_NAME } from './orca/fields.js';

/** Together with the host's own metric and the report's single numbers below MAX_REPORT_METRICS. */
export const MAX_TOLD_COUNTERS = 128;
export const MAX_TOLD_SIGNALS = 120;
/** Together with the single numbers below MAX_REPORT_LENGTH. */
export const MAX_TOLD_COUNTERS_LENGTH = 11 * 1024;
export const MAX_TOLD_SIGNALS_LENGTH = 4 * 1024;

/** `named_metrics.`, a number of up to 24 characters, and punctuation. */
const LENGTH_BESIDE_NAME = 42;

/** The largest values, at most `max`, at most `maxLength` characters as written; names that no reader takes are left out. */
export function largest(values: Readonly<Record<string, number>>, max: number, maxLength: number): Record<string, number> {
  const names = Object.keys(values).filter(isFitName);
  names.sort((a, b) => (values[b] as number) - (values[a] as number));
  // No prototype: a name may well be `__proto__`.
  const told: Record<string, number> = Object.create(null);
  let count = 0;
  let length = 0;
  for (const name of names) {
    if (count === max) break;
    const added = writtenLength(name);
    if (length + added > maxLength) continue;
    told[name] = values[name] as number;
    count++;
    length += added;
  }
  return told;
}

function isFitName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME_LENGTH && !UNFIT_NAME.test(name);
}

/** At most: what JSON escapes takes six characters, a percent-encoded one of UTF-8 nine. */
function writtenLength(name: string): number {
  let length = LENGTH_BESIDE_NAME;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    length += code > 127 ? 9 : isPlain(code) ? 1 : code >= 32 && code !== 127 ? 3 : 6;
  }
  return length;
}

/** `-` to `9` holds `.` and `/`; then letters and `_`. */
function isPlain(code: number): boolean {
  return (code >= 45 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122);
}
