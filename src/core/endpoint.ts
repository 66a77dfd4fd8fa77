/** One place a service can be reached at. */
import { checkNumber, invalidArgument } from './errors.js';

export interface Endpoint {
  /** Unique within its service, stable over restarts of the caller; at most 256 characters. */
  readonly id: string;
  /** What a transport connects to: an origin such as `http://10.0.0.7:8000`, or the name of a memory server, `memory://a`. */
  readonly address: string;
  /** Relative capacity, above 0. Default 1. */
  readonly weight?: number;
  /** Where it stands (region, zone), as the caller's own locality is written. */
  readonly locality?: string;
  /** Whatever the service says of itself. At most 4 KiB as JSON. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** A short form: a bare address stands for an endpoint whose id is that address. */
export type EndpointLike = string | Endpoint;

/** More than this in one list is taken for a mistake. */
export const MAX_ENDPOINTS = 100_000;
const MAX_ID_LENGTH = 256;
const MAX_ATTRIBUTES_LENGTH = 4096;
const ADDRESS = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#\\]+\/?$/i;

/**
 * Checks one endpoint and gives it its canonical form (no trailing slash, weight set).
 * @throws {EvenkeelError} `invalid-argument` naming the field.
 */
export function parseEndpoint(value: unknown): Endpoint {
  if (typeof value === 'string') return parseEndpoint({ id: trimSlash(value), address: value });
  if (typeof value !== 'object' || value === null) throw invalidArgument('endpoint', value, 'an address or { id, address }');
  const { id, address, weight, locality, attributes } = value as Partial<Endpoint>;
  if (typeof address !== 'string' || !ADDRESS.test(address)) {
    throw invalidArgument('endpoint.address', address, 'scheme://host:port without a path');
  }
  checkAuthority(address);
  const name = id ?? trimSlash(address);
  if (typeof name !== 'string' || name.length === 0 || name.length > MAX_ID_LENGTH) {
    throw invalidArgument('endpoint.id', name, `1 to ${MAX_ID_LENGTH} characters`);
  }
  if (weight !== undefined) checkNumber('endpoint.weight', weight, Number.MIN_VALUE, 1e9);
  if (locality !== undefined && typeof locality !== 'string') throw invalidArgument('endpoint.locality', locality, 'a string');
  if (attributes !== undefined) checkAttributes(attributes);
  return {
    id: name,
    address: trimSlash(address),
    weight: weight ?? 1,
    ...(locality === undefined ? undefined : { locality }),
    ...(attributes === undefined ? undefined : { attributes }),
  };
}

/**
 * Checks a list. Order is kept.
 * @throws {EvenkeelError} `invalid-argument` for a malformed endpoint, an id used twice, or more than {@link MAX_ENDPOINTS}.
 */
export function parseEndpoints(values: unknown): readonly Endpoint[] {
  if (!Array.isArray(values)) throw invalidArgument('endpoints', values, 'an array');
  if (values.length > MAX_ENDPOINTS) throw invalidArgument('endpoints.length', values.length, `at most ${MAX_ENDPOINTS}`);
  const seen = new Set<string>();
  return values.map((value) => {
    const endpoint = parseEndpoint(value);
    if (seen.has(endpoint.id)) throw invalidArgument('endpoint.id', endpoint.id, 'an id used once in the list');
    seen.add(endpoint.id);
    return endpoint;
  });
}

/** True when a transport would have to connect differently or a picker would weigh differently. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    a.id === b.id &&
    a.address === b.address &&
    a.weight === b.weight &&
    a.locality === b.locality &&
    JSON.stringify(a.attributes) === JSON.stringify(b.attributes)
  );
}

function checkAttributes(attributes: unknown): void {
  const isFlat =
    typeof attributes === 'object' &&
    attributes !== null &&
    !Array.isArray(attributes) &&
    Object.values(attributes).every((item) => typeof item === 'string');
  if (!isFlat) throw invalidArgument('endpoint.attributes', attributes, 'an object of strings');
  const { length } = JSON.stringify(attributes);
  if (length > MAX_ATTRIBUTES_LENGTH) {
    throw invalidArgument('endpoint.attributes', `${length} characters`, `at most ${MAX_ATTRIBUTES_LENGTH}`);
  }
}

/** URL refuses ports above 65,535, bad IPv6 brackets and bad percent-escapes; credentials have no place in an address. */
function checkAuthority(address: string): void {
  try {
    // 'http:' makes URL parse the authority whatever the scheme is.
    const url = new URL(address.replace(/^[^:]+:/, 'http:'));
    if (url.username === '' && url.password === '' && url.hostname !== '') return;
  } catch {
    // Reported below, with what was expected.
  }
  throw invalidArgument('endpoint.address', address, 'a valid host and port (0 to 65535), without credentials');
}

function trimSlash(address: string): string {
  return address.endsWith('/') ? address.slice(0, -1) : address;
}
