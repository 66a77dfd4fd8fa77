/**
 * Names of documents and blobs: what is refused here can neither leave a folder, nor be split by a log, nor come back from UTF-8
 * as another name. One rule for every transport, so that a key which works on one works on all.
 */
import { invalidArgument } from '../errors.js';
import { MAX_STATE_KEY_BYTES } from '../transport/state.js';

const EXPECTED = `1 to ${MAX_STATE_KEY_BYTES} bytes, segments joined by "/", none of them empty, "." or "..", no control characters`;
/** Control characters, and halves of surrogate pairs, which UTF-8 cannot carry. */
const UNFIT = /[\p{Cc}\p{Surrogate}]/u;

/** @throws {EvenkeelError} `invalid-argument`, naming `what`. */
export function checkKey(what: string, key: string): string {
  if (typeof key === 'string' && key.length > 0 && isFit(key) && key.split('/').every(isSegment)) return key;
  throw invalidArgument(what, key, EXPECTED);
}

/** A prefix is any beginning of a key, the empty one included; one that no key can begin with is a mistake. */
export function checkKeyPrefix(what: string, prefix: string): string {
  if (typeof prefix === 'string' && isFit(prefix) && prefix.split('/').slice(0, -1).every(isSegment)) return prefix;
  throw invalidArgument(what, prefix, `the beginning of a key: ${EXPECTED}`);
}

/** Order of the UTF-8 bytes. JavaScript's own order differs above U+D7FF, where surrogate pairs sort before U+E000. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above every other unit's. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function isFit(text: string): boolean {
  return text.length <= MAX_STATE_KEY_BYTES && !UNFIT.test(text) && Buffer.byteLength(text) <= MAX_STATE_KEY_BYTES;
}

function isSegment(segment: string): boolean {
  return segment !== '' && segment !== '.' && segment !== '..';
}
