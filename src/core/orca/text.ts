/**
 * ORCA's TEXT form: `TEXT cpu_utilization=0.3, named_metrics.host=12`.
 *
 * Written strictly: names are percent-encoded outside [A-Za-z0-9_./-], since readers split at `=`, `:` and `,`, and model names
 * hold all of these. Read leniently: the word TEXT may be missing (servers derived from vLLM), spaces may follow commas (vLLM),
 * `:` may stand for `=` (older Envoy), unknown names are skipped.
 */
import type { LoadReport } from '../load-report.js';
import { type Draft, eachField, finish, MAPS, MAX_REPORT_METRICS, malformed, SCALARS, setMetric, setScalar } from './fields.js';

const PLAIN_NAME = /^[A-Za-z0-9_./-]+$/;

/** With the leading `TEXT `. */
export function encodeText(report: LoadReport): string {
  let text = 'TEXT ';
  const add = (name: string, value: number) => {
    text += text.length === 5 ? `${name}=${short(value)}` : `,${name}=${short(value)}`;
  };
  eachField(report, 'TEXT', add, (map, name, value) => add(`${map}.${encodeName(name)}`, value));
  return text;
}

/** Without the leading `TEXT `. */
export function decodeText(text: string): LoadReport {
  const draft: Draft = {};
  let start = 0;
  let metrics = 0;
  while (start <= text.length) {
    let end = text.indexOf(',', start);
    if (end < 0) end = text.length;
    const pair = text.slice(start, end).trim();
    start = end + 1;
    if (pair.length === 0) continue;
    if (++metrics > MAX_REPORT_METRICS) throw malformed('TEXT', `more than ${MAX_REPORT_METRICS} metrics`);
    readPair(draft, pair);
  }
  return finish(draft);
}

function readPair(draft: Draft, pair: string): void {
  let separator = pair.indexOf('=');
  if (separator < 0) separator = pair.lastIndexOf(':');
  if (separator <= 0) throw malformed('TEXT', `'${pair.slice(0, 80)}' is not name=value`);
  const name = pair.slice(0, separator).trimEnd();
  const value = readNumber(pair.slice(separator + 1).trim(), name);
  const scalar = SCALARS.get(name);
  if (scalar !== undefined) {
    setScalar(draft, scalar, value, 'TEXT');
    return;
  }
  const dot = name.indexOf('.');
  const map = dot < 0 ? undefined : MAPS.get(name.slice(0, dot));
  if (map !== undefined) setMetric(draft, map, decodeName(name.slice(dot + 1)), value, 'TEXT');
}

/** Number() would take '', hexadecimal and 'Infinity'. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function readNumber(text: string, name: string): number {
  if (!NUMBER.test(text)) throw malformed('TEXT', `${name.slice(0, 80)} is '${text.slice(0, 40)}'; expected a finite number`);
  return Number(text);
}

/** Six digits are more than any load is worth. */
function short(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

function encodeName(name: string): string {
  if (PLAIN_NAME.test(name)) return name;
  return encodeURIComponent(name).replace(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodeName(name: string): string {
  if (!name.includes('%')) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
