/** Arguments of a state store, checked by one rule for every transport: what works on one works on all. */
import { checkInteger, checkNumber, invalidArgument } from '../errors.js';
import { MAX_STATE_BYTES, type PutOptions, type StateEvent } from '../transport/state.js';
import { checkKey, checkKeyPrefix } from './keys.js';
import { checkOpen, checkSignal, copyBytes, MAX_LEASE_MS, MIN_LEASE_MS } from './transport-guards.js';

/** @throws {EvenkeelError} `failed-precondition` once closed, `invalid-argument` naming the value, `cancelled`. */
export function checkUse(isClosed: boolean, key: string, signal: AbortSignal | undefined): void {
  checkOpen(isClosed, 'the state transport');
  checkKey('key', key);
  checkSignal(signal, 'the operation');
}

/**
 * Gives the value’s bytes, nobody else's from here on.
 * @throws {EvenkeelError} `invalid-argument` naming the value, `out-of-range` for a value too large.
 */
export function checkPut(value: Uint8Array, { expect, leaseMs }: PutOptions): Uint8Array {
  if (expect !== 'absent') checkExpect(expect);
  if (leaseMs !== undefined) checkNumber('leaseMs', leaseMs, MIN_LEASE_MS, MAX_LEASE_MS);
  return copyBytes('value', value, MAX_STATE_BYTES);
}

/** @throws {EvenkeelError} `invalid-argument` naming the value. */
export function checkExpect(expect: number | undefined): void {
  if (expect !== undefined) checkInteger('expect', expect, 1);
}

/** @throws {EvenkeelError} `failed-precondition` once closed, `invalid-argument` naming the value. */
export function checkWatch(isClosed: boolean, prefix: string, on: (event: StateEvent) => void): void {
  checkOpen(isClosed, 'the state transport');
  checkKeyPrefix('prefix', prefix);
  if (typeof on !== 'function') throw invalidArgument('on', on, 'a function');
}
