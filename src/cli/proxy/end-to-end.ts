/**
 * The headers that pass through a proxy, and those that are one connection's own business (RFC 9110, section 7.6.1; RFC 9113, section
 * 8.2.2). Names keep their case: HTTP/2 wants lower case and lowers them itself.
 */
import type { HeaderList } from '../../core/headers.js';

/** `expect` is answered here, by the one who reads the body. */
const OF_ONE_CONNECTION = new Set(
  'connection keep-alive proxy-connection te transfer-encoding upgrade http2-settings expect'.split(' '),
);
const PSEUDONYM = 'evenkeel';
/** A proxy that is its own server, by way of others or not, would otherwise go round for ever. */
const MAX_HOPS = 8;

/** A copy without the headers of the connection: the well-known ones and those that `Connection` names. */
export function endToEnd(headers: HeaderList): string[] {
  const passed: string[] = [];
  let named: Set<string> | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = text(headers[i] as string | Uint8Array);
    const lower = name.toLowerCase();
    if (!OF_ONE_CONNECTION.has(lower)) passed.push(name, text(headers[i + 1] as string | Uint8Array));
    else if (lower === 'connection') named = namesIn(text(headers[i + 1] as string | Uint8Array), named);
  }
  return named === undefined ? passed : without(passed, named);
}

/** Takes out every header of those names, in place of what the list was. */
export function without(headers: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!names.has((headers[i] as string).toLowerCase())) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

/** Says that the message came through here (RFC 9110, section 7.6.3). `version`: of the protocol it was received by. */
export function addVia(headers: string[], version: string): void {
  headers.push('via', `${version} ${PSEUDONYM}`);
}

/** The message has been through proxies like this one so often that it must be going in circles. */
export function isLooping(headers: readonly string[]): boolean {
  let hops = 0;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if ((headers[i] as string).length !== 3 || (headers[i] as string).toLowerCase() !== 'via') continue;
    for (const hop of (headers[i + 1] as string).split(',')) if (hop.trim().endsWith(` ${PSEUDONYM}`)) hops++;
  }
  return hops >= MAX_HOPS;
}

/** Tells the server where the caller is, behind what was said of callers before. */
export function addForwarded(headers: string[], how: 'x-forwarded-for' | 'forwarded', address: string, host: string): string[] {
  const from = address.replace(/^::ffff:/, '');
  if (how === 'forwarded') {
    const node = from.includes(':') ? `"[${from}]"` : from;
    headers.push('forwarded', `for=${node};proto=http${host === '' ? '' : `;host="${host}"`}`);
    return headers;
  }
  const earlier: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if ((headers[i] as string).toLowerCase() === 'x-forwarded-for') earlier.push(headers[i + 1] as string);
  }
  // One header: many servers read the first only.
  const kept = earlier.length === 0 ? headers : without(headers, new Set(['x-forwarded-for']));
  kept.push('x-forwarded-for', [...earlier, from].join(', '));
  return kept;
}

function namesIn(value: string, found = new Set<string>()): Set<string> | undefined {
  for (const token of value.split(',')) {
    const name = token.trim().toLowerCase();
    // Mostly it says `keep-alive` or `close`, which are no headers to look for.
    if (name !== '' && name !== 'close' && !OF_ONE_CONNECTION.has(name)) found.add(name);
  }
  return found.size === 0 ? undefined : found;
}

function text(value: string | Uint8Array): string {
  return typeof value === 'string' ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
}
