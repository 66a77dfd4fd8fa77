/**
 * Where a client or a server stands, and how far apart two of them are.
 *
 * What does a label say? `continent/region/zone`: `eu/west/a`. Of two segments the zone is left out; one alone is a region of no known
 * continent. What stands after the third is part of the zone. Labels are compared as they are written. One that is empty or missing
 * is of no region: it is near nobody, and for it nobody is near.
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';

/** One way between two localities, measured. Round trip, milliseconds. */
export interface Rtt {
  readonly from: string;
  readonly to: string;
  readonly rttMs: number;
}

export interface RingOptions {
  /**
   * Greatest round trip of each ring but the last, which takes the rest: `[5, 30, 90]` are four rings. 1 to 7 rising numbers, above 0.
   * Default: by label: same region, neighbouring region, same continent, anything.
   */
  boundsMs?: readonly number[];
  /** By label only: regions at most this far apart are neighbours. Default 30 ms. Without a measurement nobody is one. */
  neighbourMs?: number;
}

/** Milliseconds between two localities, or undefined where nobody measured. */
export type RttLookup = (from: string, to: string) => number | undefined;

export const DEFAULT_NEIGHBOUR_MS = 30;
const MAX_BOUNDS = 7;
const LABEL_RINGS = 4;
/** Longer labels are no labels. */
export const MAX_LOCALITY_LENGTH = 128;

/** The label up to its region: what round trips are measured between. Empty for no region. */
export function regionOf(locality: string | undefined): string {
  if (locality === undefined || locality === '') return '';
  const first = locality.indexOf('/');
  if (first < 0) return locality;
  const second = locality.indexOf('/', first + 1);
  return second < 0 ? locality : locality.slice(0, second);
}

/** Empty when the label does not say. */
export function continentOf(locality: string | undefined): string {
  const end = locality?.indexOf('/') ?? -1;
  return end < 0 ? '' : (locality as string).slice(0, end);
}

/** @throws {EvenkeelError} `invalid-argument` for bounds that do not rise. */
export function checkRings(rings: RingOptions = {}): RingOptions {
  const { boundsMs, neighbourMs } = rings;
  if (neighbourMs !== undefined) checkNumber('rings.neighbourMs', neighbourMs, 0);
  if (boundsMs === undefined) return rings;
  const expected = `1 to ${MAX_BOUNDS} rising milliseconds above 0`;
  if (!Array.isArray(boundsMs) || boundsMs.length === 0 || boundsMs.length > MAX_BOUNDS) {
    throw invalidArgument('rings.boundsMs', boundsMs, expected);
  }
  let last = 0;
  for (const bound of boundsMs) {
    if (typeof bound !== 'number' || !Number.isFinite(bound) || bound <= last) {
      throw invalidArgument('rings.boundsMs', boundsMs, expected);
    }
    last = bound;
  }
  return rings;
}

export function ringCount({ boundsMs }: RingOptions): number {
  return boundsMs === undefined ? LABEL_RINGS : boundsMs.length + 1;
}

/**
 * The ring, from 0, that `to` is in as seen from `from`. Bounds in milliseconds stand above labels; where there is no measurement, the
 * same region is the first ring and everything else the last.
 */
export function ringOf(from: string | undefined, to: string | undefined, rings: RingOptions, rtt: RttLookup): number {
  const outermost = ringCount(rings) - 1;
  const here = regionOf(from);
  const there = regionOf(to);
  if (here === '' || there === '') return outermost;
  const ms = rtt(from as string, to as string);
  if (rings.boundsMs !== undefined) {
    if (ms === undefined) return here === there ? 0 : outermost;
    const ring = rings.boundsMs.findIndex((bound) => ms <= bound);
    return ring < 0 ? outermost : ring;
  }
  if (here === there) return 0;
  if (ms !== undefined && ms <= (rings.neighbourMs ?? DEFAULT_NEIGHBOUR_MS)) return 1;
  const continent = continentOf(from);
  return continent !== '' && continent === continentOf(to) ? 2 : outermost;
}

/**
 * Looks round trips up: of the two localities, else of their regions, each also the other way round. Of one pair given twice the
 * later stands. Entries that are no measurement are left out.
 */
export function rttLookup(rtts: readonly Rtt[]): RttLookup {
  const known = new Map<string, Map<string, number>>();
  for (const { from, to, rttMs } of rtts) {
    if (!(rttMs >= 0) || !Number.isFinite(rttMs)) continue;
    const row = known.get(from) ?? new Map<string, number>();
    known.set(from, row.set(to, rttMs));
  }
  const between = (a: string, b: string) => known.get(a)?.get(b) ?? known.get(b)?.get(a);
  return (from, to) => between(from, to) ?? between(regionOf(from), regionOf(to));
}
