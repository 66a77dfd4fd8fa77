/**
 * Load reports in headers. One writer, and a reader for every variant in the field: the word that names the format (any case), its
 * absence, the older headers with a suffix. The binary one wins where several are there, as in Envoy.
 */
import { invalidArgument } from '../errors.js';
import { HEADERS, type HeaderList, headerCount, headerValue } from '../headers.js';
import type { LoadReport } from '../load-report.js';
import { decodeBinary, encodeBinary } from './binary.js';
import { MAX_REPORT_LENGTH, malformed } from './fields.js';
import { decodeJson, encodeJson } from './json.js';
import { decodeText, encodeText } from './text.js';

export type LoadFormat = 'text' | 'json' | 'binary';

/** A report above this is cut by its writer's caller, not by us: most servers refuse headers of more than 8 to 16 KiB in all. */
export const MAX_WRITTEN_LENGTH = 1024;

/**
 * The value of an `endpoint-load-metrics` header.
 * @throws {EvenkeelError} `invalid-argument` for a number that is not finite, or when the value would exceed 1 KiB.
 */
export function encodeLoadHeader(report: LoadReport, format: LoadFormat = 'text'): string {
  const value = encode(report, format);
  if (value.length > MAX_WRITTEN_LENGTH) {
    throw invalidArgument('load report', `${value.length} characters`, `at most ${MAX_WRITTEN_LENGTH}: name fewer keys`);
  }
  return value;
}

/**
 * Reads the value of an `endpoint-load-metrics` header.
 * @throws {EvenkeelError} `invalid-argument` for what does not parse, NaN, infinities, a name twice, more than 16 KiB.
 */
export function decodeLoadHeader(value: string): LoadReport {
  if (value.length > MAX_REPORT_LENGTH)
    throw malformed('header', `${value.length} characters; expected at most ${MAX_REPORT_LENGTH}`);
  const text = value.trim();
  const space = text.indexOf(' ');
  switch (text.slice(0, space < 0 ? text.length : space).toUpperCase()) {
    case 'TEXT':
      return decodeText(space < 0 ? '' : text.slice(space + 1));
    case 'JSON':
      return decodeJson(text.slice(space + 1));
    case 'BIN':
      // The empty report: nothing follows the word.
      return decodeBase64(space < 0 ? '' : text.slice(space + 1));
    default:
      return text.startsWith('{') ? decodeJson(text) : decodeText(text);
  }
}

/** The report in a response's headers or trailers, undefined when there is none. Throws as {@link decodeLoadHeader}. */
export function readLoadHeaders(headers: HeaderList): LoadReport | undefined {
  if (!hasNameOfReport(headers)) return undefined;
  const binary = only(headers, HEADERS.loadBinary);
  if (binary !== undefined) return decodeBase64(binary);
  const value = only(headers, HEADERS.load);
  if (value !== undefined) return decodeLoadHeader(value);
  const json = only(headers, HEADERS.loadJson);
  return json === undefined ? undefined : decodeJson(json);
}

/** Most responses carry none: one look at the lengths tells. */
function hasNameOfReport(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const { length } = headers[i] as string | Uint8Array;
    if (length === HEADERS.load.length || length === HEADERS.loadBinary.length || length === HEADERS.loadJson.length) return true;
  }
  return false;
}

function only(headers: HeaderList, name: (typeof HEADERS)[keyof typeof HEADERS]): string | undefined {
  const value = headerValue(headers, name);
  if (value !== undefined && headerCount(headers, name) > 1) throw malformed('header', `${name.text} stands twice`);
  if (value !== undefined && value.length > MAX_REPORT_LENGTH) throw malformed('header', `${value.length} characters`);
  return value;
}

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

function decodeBase64(text: string): LoadReport {
  const trimmed = text.trim();
  if (!BASE64.test(trimmed)) throw malformed('binary', 'it is not base64');
  return decodeBinary(Buffer.from(trimmed, 'base64'));
}

function encode(report: LoadReport, format: LoadFormat): string {
  if (format === 'text') return encodeText(report);
  if (format === 'json') return encodeJson(report);
  if (format === 'binary') return `BIN ${Buffer.from(encodeBinary(report)).toString('base64')}`;
  throw invalidArgument('format', format, "'text', 'json' or 'binary'");
}
