/**
 * CallContext on the wire: remaining milliseconds (never a time of day: the clocks of two machines differ), and criticality and cohort as the
 * baggage members `evenkeel.criticality` and `evenkeel.cohort`, where OpenTelemetry's propagators carry them through services that do not know
 * evenkeel.
 */
import { type CallContext, type Criticality, capCriticality, DEFAULT_CRITICALITY, isCriticality } from './call-context.js';
import { isCohort } from './cohort.js';
import { invalidArgument } from './errors.js';
import { HEADERS, type HeaderList, headerValue, headerValues } from './headers.js';

const CRITICALITY_MEMBER = 'evenkeel.criticality';
const COHORT_MEMBER = 'evenkeel.cohort';
const MEMBER_PREFIX = 'evenkeel.c';
/** W3C Baggage, section 3.3.2. */
const MAX_BAGGAGE_LENGTH = 8192;

/** Twelve digits, the longest a reader takes: some thirty years. */
const MAX_WIRE_TIMEOUT_MS = 999_999_999_999;

/** The longest time a caller may give itself when nothing else is said: an hour. */
export const DEFAULT_MAX_TIMEOUT_MS = 3_600_000;
/** What an unlisted caller can claim at most. */
export const DEFAULT_UNTRUSTED_CRITICALITY: Criticality = 'critical';

/** Adds the context to a flat header list in place. `now`: Clock.now(); a deadline in the past goes out as 0. */
export function writeContextHeaders(headers: string[], context: CallContext, now: number): void {
  if (context.deadline !== undefined) writeTimeoutHeader(headers, context.deadline - now);
  writePriority(headers, context);
}

/** Replaces one that the program passed on from its own caller: it is older. An infinite one is not sent. */
export function writeTimeoutHeader(headers: string[], remainingMs: number): void {
  if (!Number.isFinite(remainingMs)) return;
  const value = String(Math.min(Math.max(0, Math.floor(remainingMs)), MAX_WIRE_TIMEOUT_MS));
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.length !== HEADERS.timeout.length || headers[i]?.toLowerCase() !== HEADERS.timeout.text) continue;
    headers[i + 1] = value;
    return;
  }
  headers.push(HEADERS.timeout.text, value);
}

/** The default goes without saying; what baggage from upstream says of another call is taken out. */
export function writePriority(headers: string[], { cohort, criticality }: CallContext): void {
  dropBaggage(headers);
  if (criticality !== DEFAULT_CRITICALITY) addBaggage(headers, `${CRITICALITY_MEMBER}=${criticality}`);
  if (cohort !== undefined) addBaggage(headers, `${COHORT_MEMBER}=${cohort}`);
}

export interface ReadContextOptions {
  /** Clock.now() at the arrival of the request. */
  now: number;
  /** The caller is listed as trusted: its criticality is not capped, and its cohort is believed. Default false. */
  isTrusted?: boolean;
  /** Caps the deadline of everybody. Milliseconds; default one hour. */
  maxTimeoutMs?: number;
  /** Caps the criticality of callers that are not trusted. Default `critical`. */
  untrustedCriticality?: Criticality;
}

/**
 * The context a request came with. `evenkeel-timeout-ms` wins over `grpc-timeout`; an unknown criticality counts as the default.
 * @throws {EvenkeelError} `invalid-argument` for a timeout that does not parse.
 */
export function readContextHeaders(headers: HeaderList, options: ReadContextOptions): CallContext {
  const timeoutMs = readTimeout(headers);
  const { cohort, criticality: claimed } = readPriority(headerValues(headers, HEADERS.baggage));
  const cap = options.untrustedCriticality ?? DEFAULT_UNTRUSTED_CRITICALITY;
  const criticality = options.isTrusted ? claimed : capCriticality(claimed, cap);
  return {
    criticality,
    ...(timeoutMs === undefined
      ? undefined
      : { deadline: options.now + Math.min(timeoutMs, options.maxTimeoutMs ?? DEFAULT_MAX_TIMEOUT_MS) }),
    ...(cohort === undefined || !options.isTrusted ? undefined : { cohort }),
  };
}

function readTimeout(headers: HeaderList): number | undefined {
  const own = headerValue(headers, HEADERS.timeout);
  if (own !== undefined) {
    if (!/^\d{1,12}$/.test(own)) throw invalidArgument(HEADERS.timeout.text, own, 'whole milliseconds');
    return Number(own);
  }
  const grpc = headerValue(headers, HEADERS.grpcTimeout);
  return grpc === undefined ? undefined : parseGrpcTimeout(grpc);
}

const GRPC_UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout` value: at most eight digits and a unit. */
export function parseGrpcTimeout(value: string): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  if (match === null) throw invalidArgument(HEADERS.grpcTimeout.text, value, '1 to 8 digits and one of H M S m u n');
  return Number(match[1]) * (GRPC_UNITS[match[2] as string] as number);
}

/** There may be several headers; their members make one list (W3C Baggage, section 3.3). The first of a name counts; a malformed one does not. */
function readPriority(values: readonly string[]): { criticality: Criticality; cohort: number | undefined } {
  let criticality: Criticality | undefined;
  let cohort: number | undefined;
  const baggage = values.join(',');
  if (baggage.length <= MAX_BAGGAGE_LENGTH && baggage.includes(MEMBER_PREFIX)) {
    for (const member of baggage.split(',')) {
      const [pair = ''] = member.split(';', 1);
      const equals = pair.indexOf('=');
      if (equals < 0) continue;
      const name = pair.slice(0, equals).trim();
      const value = pair.slice(equals + 1).trim();
      if (name === CRITICALITY_MEMBER && isCriticality(value)) criticality ??= value;
      else if (name === COHORT_MEMBER && /^\d{1,3}$/.test(value) && isCohort(Number(value))) cohort ??= Number(value);
    }
  }
  return { criticality: criticality ?? DEFAULT_CRITICALITY, cohort };
}

function dropBaggage(headers: string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    const value = headers[i + 1] as string;
    if (!isBaggage(headers[i] as string) || !value.includes(MEMBER_PREFIX)) continue;
    const others = value.split(',').filter((member) => !isOwn(member.split(/[=;]/, 1)[0]?.trim()));
    if (others.length === 0) headers.splice(i, 2);
    else headers[i + 1] = others.join(',');
  }
}

function isOwn(member: string | undefined): boolean {
  return member === CRITICALITY_MEMBER || member === COHORT_MEMBER;
}

/** One header where there is one already, the application's own; our members last. */
function addBaggage(headers: string[], member: string): void {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!isBaggage(headers[i] as string)) continue;
    headers[i + 1] = headers[i + 1] === '' ? member : `${headers[i + 1]},${member}`;
    return;
  }
  headers.push(HEADERS.baggage.text, member);
}

function isBaggage(name: string): boolean {
  return name.length === HEADERS.baggage.length && name.toLowerCase() === HEADERS.baggage.text;
}
