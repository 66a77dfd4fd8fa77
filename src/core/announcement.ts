/**
 * What a server writes of itself, and callers read: the document `services/<service>/endpoints/<id>`.
 *
 * `{ v: 1, release, endpoint, holder, load? }`; unknown fields are ignored. `release`: the version of evenkeel there, for people.
 * `holder` is drawn anew by each announcing process, so that the same endpoint announced twice is two values. `load`, `{ utilization?, rps?, eps? }`, is that of the moment the lease was renewed.
 */
import { createHash } from 'node:crypto';
import { type Endpoint, parseEndpoint } from './endpoint.js';
import { EvenkeelError, invalidArgument } from './errors.js';
import type { LoadReport } from './load-report.js';
import { VERSION } from './version.js';

/** Of all services. */
export const SERVICES_PREFIX = 'services/';
const MAX_SEGMENT_LENGTH = 160;
const LOAD_DIGITS = 4;

/** How busy a server was when it last renewed its announcement. Absent numbers are unknown. */
export interface AnnouncedLoad {
  /** Share of its capacity in use, 0 and up. */
  readonly utilization?: number;
  /** Calls a second, failed ones included. */
  readonly rps?: number;
  /** Failed calls a second. */
  readonly eps?: number;
}

export interface AnnouncedEndpoint {
  readonly endpoint: Endpoint;
  readonly load: AnnouncedLoad | undefined;
}

/** Of all endpoints of `service`. */
export function announcementPrefix(service: string): string {
  if (typeof service !== 'string' || service === '') throw invalidArgument('service', service, 'the name of a service');
  return `${SERVICES_PREFIX}${keySegment(service)}/endpoints/`;
}

/** The service's segment of an announcement's key, as `keySegment` made it; undefined for a key that is none. */
export function announcedService(key: string): string | undefined {
  const [root, service, kind, id, ...rest] = key.split('/');
  return root === 'services' && service && kind === 'endpoints' && id && rest.length === 0 ? service : undefined;
}

export function announcementKey(service: string, endpointId: string): string {
  return announcementPrefix(service) + keySegment(endpointId);
}

export function encodeAnnouncement(endpoint: Endpoint, holder: string, load?: LoadReport): Uint8Array {
  const told = load && summaryOf(load);
  return new TextEncoder().encode(JSON.stringify({ v: 1, release: VERSION, endpoint, holder, ...(told && { load: told }) }));
}

/** Which announcing process wrote it; undefined for what is no announcement. */
export function holderOf(key: string, value: Uint8Array): unknown {
  try {
    return parse(key, value)?.holder;
  } catch {
    return undefined;
  }
}

/** @throws {EvenkeelError} `invalid-argument` for a document that is no announcement, or that stands under another endpoint's key. */
export function decodeAnnouncement(service: string, key: string, value: Uint8Array): Endpoint {
  return decodeUnder(announcementPrefix(service), key, value).endpoint;
}

/** As {@link decodeAnnouncement}, with the load, for the prefix of any service. A load that is none is left out. */
export function decodeUnder(prefix: string, key: string, value: Uint8Array): AnnouncedEndpoint {
  const document = parse(key, value);
  if (document?.v !== 1) throw malformed(key, `version ${document?.v}; expected 1`);
  const endpoint = parseEndpoint(document.endpoint);
  // One endpoint under two keys would be two endpoints of one id.
  if (prefix + keySegment(endpoint.id) !== key) throw malformed(key, `it announces '${endpoint.id}', whose key is another`);
  return { endpoint, load: parseLoad(document.load) };
}

/** Only what counts, in a few bytes: it is written three times a lease. */
function summaryOf({ applicationUtilization, cpuUtilization, rps, eps }: LoadReport): AnnouncedLoad {
  const shorten = (value: number | undefined) => {
    return value === undefined || !(value >= 0 && value <= Number.MAX_VALUE) ? undefined : Number(value.toPrecision(LOAD_DIGITS));
  };
  return { utilization: shorten(applicationUtilization ?? cpuUtilization), rps: shorten(rps), eps: shorten(eps) };
}

function parseLoad(value: unknown): AnnouncedLoad | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { utilization, rps, eps } = value as Record<string, unknown>;
  const checked = (item: unknown) => (typeof item === 'number' && item >= 0 && Number.isFinite(item) ? item : undefined);
  return { utilization: checked(utilization), rps: checked(rps), eps: checked(eps) };
}

function parse(key: string, value: Uint8Array): { v?: unknown; endpoint?: unknown; holder?: unknown; load?: unknown } | null {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value));
  } catch (error) {
    throw malformed(key, 'it is not JSON', error);
  }
}

function malformed(key: string, fault: string, cause?: unknown): EvenkeelError {
  return new EvenkeelError('invalid-argument', `malformed announcement ${key}: ${fault}`, { cause });
}

/** Any name as one segment of a key: readable where it can be, a hash where it would be too long or end in dots. */
export function keySegment(name: string): string {
  // Halves of surrogate pairs have no UTF-8, and so no percent-encoding.
  if (!/^\.+$|\p{Surrogate}/u.test(name)) {
    const segment = encodeURIComponent(name);
    if (segment.length <= MAX_SEGMENT_LENGTH) return segment;
  }
  return `~${createHash('sha256').update(name).digest('hex')}`;
}
