/**
 * The fields of an ORCA report, once, for all three encodings.
 * @see cncf/xds, xds/data/orca/v3/orca_load_report.proto
 */
import { EvenkeelError } from '../errors.js';
import type { LoadReport } from '../load-report.js';

/** `wholeRps` is the deprecated `rps` of the wire, see {@link finish}. */
export type ScalarField = 'cpuUtilization' | 'memUtilization' | 'applicationUtilization' | 'rps' | 'wholeRps' | 'eps';
export type MapField = 'requestCost' | 'utilization' | 'namedMetrics';

/** A report while it is being read. */
export type Draft = { -readonly [K in keyof LoadReport]: K extends MapField ? Record<string, number> : number } & {
  wholeRps?: number;
};

/** Name on the wire → field. */
export const SCALARS: ReadonlyMap<string, ScalarField> = new Map([
  ['cpu_utilization', 'cpuUtilization'],
  ['mem_utilization', 'memUtilization'],
  ['application_utilization', 'applicationUtilization'],
  ['rps_fractional', 'rps'],
  ['rps', 'wholeRps'],
  ['eps', 'eps'],
]);

export const MAPS: ReadonlyMap<string, MapField> = new Map([
  ['request_cost', 'requestCost'],
  ['utilization', 'utilization'],
  ['named_metrics', 'namedMetrics'],
]);

/** Bounds of what is read; a header is no place for more. */
export const MAX_REPORT_LENGTH = 16 * 1024;
export const MAX_REPORT_METRICS = 256;
export const MAX_NAME_LENGTH = 256;

/** `invalid-argument`; `fault` says what is wrong with the report. */
export function malformed(format: string, fault: string): EvenkeelError {
  return new EvenkeelError('invalid-argument', `malformed ${format} load report: ${fault}`);
}

export function setScalar(draft: Draft, field: ScalarField, value: number, format: string): void {
  if (draft[field] !== undefined) throw malformed(format, `${field} twice`);
  draft[field] = checkValue(field, value, format);
}

export function setMetric(draft: Draft, field: MapField, name: string, value: number, format: string): void {
  checkName(name, field, format);
  let map = draft[field];
  if (map === undefined) {
    // No prototype: a metric may well be called `constructor` or `__proto__`.
    map = Object.create(null) as Record<string, number>;
    draft[field] = map;
  }
  if (name in map) throw malformed(format, `${field}.${name} twice`);
  map[name] = checkValue(name, value, format);
}

function checkValue(name: string, value: number, format: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw malformed(format, `${name} is ${value}; expected a finite number`);
  return value;
}

/** Calls back for every number of a report, in a fixed order; the writer's side refuses what a reader would. */
export function eachField(
  report: LoadReport,
  format: string,
  onScalar: (wireName: string, value: number) => void,
  onMetric: (wireMap: string, name: string, value: number) => void,
): void {
  for (const [wireName, field] of SCALARS) {
    if (field === 'wholeRps') continue;
    const value = report[field];
    if (value === undefined) continue;
    onScalar(wireName, checkValue(field, value, format));
  }
  for (const [wireMap, field] of MAPS) {
    const map = report[field];
    if (map === undefined) continue;
    for (const name of Object.keys(map)) {
      checkName(name, field, format);
      onMetric(wireMap, name, checkValue(name, map[name] as number, format));
    }
  }
}

/** A server that fills both `rps` and `rps_fractional` says the same thing twice; the fractional one is finer. */
export function finish(draft: Draft): LoadReport {
  if (draft.wholeRps === undefined) return draft;
  draft.rps ??= draft.wholeRps;
  delete draft.wholeRps;
  return draft;
}

/** Halves of surrogate pairs cannot be written as UTF-8, and would come back as another name. */
export const UNFIT_NAME = /\p{Surrogate}/u;

function checkName(name: string, field: MapField, format: string): void {
  if (name.length > 0 && name.length <= MAX_NAME_LENGTH && !UNFIT_NAME.test(name)) return;
  throw malformed(format, `a name of ${name.length} characters in ${field}; expected 1 to ${MAX_NAME_LENGTH} of Unicode`);
}
