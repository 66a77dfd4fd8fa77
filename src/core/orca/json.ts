/**
 * ORCA's JSON form, proto-JSON: snake_case or camelCase names, numbers possibly as strings, a part of the fields only (vLLM sends
 * `named_metrics` alone). Unknown names are skipped.
 */
import type { LoadReport } from '../load-report.js';
import { type Draft, eachField, finish, MAPS, MAX_REPORT_METRICS, malformed, SCALARS, setMetric, setScalar } from './fields.js';

/** With the leading `JSON `. */
export function encodeJson(report: LoadReport): string {
  const object: Record<string, unknown> = {};
  eachField(
    report,
    'JSON',
    (name, value) => {
      object[name] = value;
    },
    (map, name, value) => {
      // An own property even for `__proto__`.
      object[map] ??= Object.create(null);
      (object[map] as Record<string, number>)[name] = value;
    },
  );
  return `JSON ${escapeNonAscii(JSON.stringify(object))}`;
}

/** Without the leading `JSON `. */
export function decodeJson(text: string): LoadReport {
  let object: unknown;
  try {
    object = JSON.parse(text);
  } catch {
    throw malformed('JSON', 'it does not parse');
  }
  if (!isObject(object)) throw malformed('JSON', 'it is not an object');
  refuseDuplicateNames(text, object);
  const draft: Draft = {};
  let metrics = 0;
  for (const [key, value] of Object.entries(object)) {
    const name = snakeCase(key);
    const scalar = SCALARS.get(name);
    const map = MAPS.get(name);
    if (scalar !== undefined) setScalar(draft, scalar, readNumber(key, value), 'JSON');
    if (map === undefined) continue;
    if (!isObject(value)) throw malformed('JSON', `${key} is not an object`);
    for (const [metric, number] of Object.entries(value)) {
      if (++metrics > MAX_REPORT_METRICS) throw malformed('JSON', `more than ${MAX_REPORT_METRICS} metrics`);
      setMetric(draft, map, metric, readNumber(metric, number), 'JSON');
    }
  }
  return finish(draft);
}

/** JSON.parse keeps the last of two equal names; a report that says two things says nothing. */
function refuseDuplicateNames(text: string, object: object): void {
  let written = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"\s*(:?)/g)) if (colon === ':') written++;
  if (written !== countNames(object)) throw malformed('JSON', 'a name stands twice');
}

/** Without recursion: 16 KiB of brackets are deeper than the stack. */
function countNames(root: unknown): number {
  const unseen = [root];
  let names = 0;
  while (unseen.length > 0) {
    const value = unseen.pop();
    if (typeof value !== 'object' || value === null) continue;
    const items = Object.values(value);
    if (!Array.isArray(value)) names += items.length;
    for (const item of items) unseen.push(item);
  }
  return names;
}

function readNumber(name: string, value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) throw malformed('JSON', `${name} is not a finite number`);
  return number;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Header values are ASCII. */
function escapeNonAscii(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
