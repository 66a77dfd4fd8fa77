/** Arguments of a blob store, checked by one rule for every transport: what works on one works on all. */
import { checkInteger, EvenkeelError, invalidArgument } from '../errors.js';
import { checkKey, checkKeyPrefix } from './keys.js';
import { checkOpen, checkSignal } from './transport-guards.js';

const MAX_PAGE = 1000;

/** @throws {EvenkeelError} `failed-precondition` once closed, `invalid-argument` naming the value, `cancelled`. */
export function checkBlobUse(isClosed: boolean, name: string, signal: AbortSignal | undefined): void {
  checkOpen(isClosed, 'the blob transport');
  checkKey('name', name);
  checkSignal(signal, 'the operation');
}

/** @throws {EvenkeelError} `invalid-argument` naming the value. */
export function checkRange(offset: number, target: Uint8Array): void {
  checkInteger('offset', offset, 0);
  if (!(target instanceof Uint8Array)) throw invalidArgument('target', target, 'a Uint8Array');
}

/**
 * @param bytes - The blob's.
 * @throws {EvenkeelError} `out-of-range` for an offset past the end.
 */
export function checkOffset(name: string, offset: number, bytes: number): void {
  if (offset <= bytes) return;
  throw new EvenkeelError('out-of-range', `offset ${offset} is past the end of ${name}`, { details: { offset, bytes } });
}

/** @throws {EvenkeelError} `failed-precondition` once closed, `invalid-argument` naming the value. */
export function checkList(
  isClosed: boolean,
  prefix: string,
  { after, limit }: { after?: string; limit: number },
): { after: string | undefined; limit: number } {
  checkOpen(isClosed, 'the blob transport');
  checkKeyPrefix('prefix', prefix);
  if (after !== undefined && typeof after !== 'string') throw invalidArgument('after', after, 'a name');
  return { after, limit: checkInteger('limit', limit, 1, MAX_PAGE) };
}

export function noSuchBlob(name: string): EvenkeelError {
  return new EvenkeelError('not-found', `there is no blob ${name}`, { details: { name } });
}
