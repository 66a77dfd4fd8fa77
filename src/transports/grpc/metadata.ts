/** Flat header lists as gRPC metadata and back. The value of a name in `-bin` is base64 in the list and bytes in the metadata. */
import { invalidArgument } from '../../core/errors.js';
import type { Metadata } from './peer.js';

/** The exact HTTP status of an answer, in its headers and its trailers: gRPC's codes are fewer. */
export const STATUS_NAME = 'evenkeel-status';
/** The method of a request, where it is not POST. */
export const METHOD_NAME = 'evenkeel-method';
/** `stream`: the body of the request comes in pieces, and its end is to be doubted (see served-messages.ts). */
export const BODY_NAME = 'evenkeel-body';

/** gRPC's and HTTP/2's own: they would say something of another wire, and some would end the connection. */
const RESERVED = new Set([
  'te',
  'content-type',
  'content-length',
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'user-agent',
  STATUS_NAME,
  METHOD_NAME,
  BODY_NAME,
]);

/** What begins with `grpc-` is the protocol's, except for what applications say to each other. */
const GRPC_ALLOWED = new Set([
  'grpc-retry-pushback-ms',
  'grpc-previous-rpc-attempts',
  'grpc-status-details-bin',
  'grpc-trace-bin',
  'grpc-tags-bin',
]);

/** Node refuses a request or an answer that carries one of these twice, and grpc-js gives the connection up. */
const SINGLE = new Set(
  `access-control-allow-credentials access-control-max-age access-control-request-method age authorization content-encoding
  content-language content-location content-md5 content-range date dnt etag expires from if-match if-modified-since if-none-match
  if-range if-unmodified-since last-modified location max-forwards proxy-authorization range referer retry-after tk
  upgrade-insecure-requests x-content-type-options`.split(/\s+/),
);

/**
 * In all. nghttp2 ends a connection, and every call on it, over one value above 64 KiB and over a block of more than nine frames,
 * 144 KiB. Below that a server refuses the call alone, each at its own limit: Envoy at 60 KiB.
 */
const MAX_BYTES = 60_000;

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

function isReserved(name: string): boolean {
  return RESERVED.has(name) || (name.startsWith('grpc-') && !GRPC_ALLOWED.has(name));
}

/**
 * Adds a checked header list, without reserved names.
 * @param otherBytes - What the block of headers holds besides.
 * @throws {EvenkeelError} `invalid-argument` for what HTTP can carry and gRPC cannot: values beyond visible ASCII, names with
 *   anything but letters, digits and `_-.`, a `-bin` value that is not base64, more than 60,000 bytes in all.
 */
export function addHeaders(metadata: Metadata, headers: readonly string[] | undefined, otherBytes = 0): void {
  let bytes = otherBytes;
  for (const text of headers ?? []) bytes += text.length;
  if (bytes > MAX_BYTES) throw invalidArgument('headers', `${bytes} bytes`, `at most ${MAX_BYTES} of names and values`);
  if (headers === undefined) return;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (isReserved(name)) continue;
    const value = headers[i + 1] as string;
    if (SINGLE.has(name) && metadata.get(name).length > 0) continue;
    try {
      metadata.add(name, name.endsWith('-bin') ? fromBase64(name, value) : value);
    } catch {
      throw invalidArgument(`header ${name}`, value, 'a name of a-z 0-9 _ - . and a value of visible ASCII; base64 for -bin');
    }
  }
}

function fromBase64(name: string, value: string): Buffer {
  if (!BASE64.test(value)) throw invalidArgument(name, value, 'base64');
  return Buffer.from(value, 'base64');
}

/**
 * Adds all of `metadata` to a flat list, repeated names in order, without what only the two transports tell each other. The type of the
 * content and the agent of the other side are worth reading, if not for us to write.
 */
export function pushHeaders(list: string[], metadata: Metadata): string[] {
  const all = metadata.toJSON() as Record<string, (string | Buffer)[]>;
  for (const name of Object.keys(all)) {
    if (isReserved(name) && name !== 'content-type' && name !== 'user-agent') continue;
    for (const value of all[name] as (string | Buffer)[]) {
      list.push(name, typeof value === 'string' ? value : value.toString('base64'));
    }
  }
  return list;
}

/** The HTTP status the answering transport wrote; undefined when it is another server. */
export function ownStatus(metadata: Metadata): number | undefined {
  const [value] = metadata.get(STATUS_NAME);
  if (typeof value !== 'string' || !/^[2-5]\d\d$/.test(value)) return undefined;
  return Number(value);
}
