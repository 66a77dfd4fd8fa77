/**
 * What a server writes of itself, and callers read: the document `services/<service>/endpoints/<id>`.
 *
 * `{ v: 1, endpoint, holder }`; unknown fields are ignored. `holder` is drawn anew by each announcing process, so that the same
 * endpoint announced twice is two values.
 */
import { createHash } from 'node:crypto';
import { type Endpoint, parseEndpoint } from './endpoint.js';
import { EvenkeelError, invalidArgument } from './errors.js';

const MAX_SEGMENT_LENGTH = 160;

/** Of all endpoints of `service`. */
export function announcementPrefix(service: string): string {
  if (typeof service !== 'string' || service === '') throw invalidArgument('service', service, 'the name of a service');
  return `services/${keySegment(service)}/endpoints/`;
}

export function announcementKey(service: string, endpointId: string): string {
  return announcementPrefix(service) + keySegment(endpointId);
}

export function encodeAnnouncement(endpoint: Endpoint, holder: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, endpoint, holder }));
}

/** @throws {EvenkeelError} `invalid-argument` for a document that is no announcement, or that stands under another endpoint's key. */
export function decodeAnnouncement(service: string, key: string, value: Uint8Array): Endpoint {
  const document = parse(key, value);
  if (document?.v !== 1) throw malformed(key, `version ${document?.v}; expected 1`);
  const endpoint = parseEndpoint(document.endpoint);
  // One endpoint under two keys would be two endpoints of one id.
  if (announcementKey(service, endpoint.id) !== key) throw malformed(key, `it announces '${endpoint.id}', whose key is another`);
  return endpoint;
}

function parse(key: string, value: Uint8Array): { v?: unknown; endpoint?: unknown } | null {
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
