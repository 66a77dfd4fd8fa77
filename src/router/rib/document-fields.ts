/** Fields of documents from outside: each is what it should be, or the whole document is refused. */
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';

export type Fields = Readonly<Record<string, unknown>>;

/** Rows of one document; a bound of memory, far above any table. */
const MAX_ITEMS = 1_000_000;

export function malformed(what: string, fault: string, cause?: unknown): EvenkeelError {
  return new EvenkeelError('invalid-argument', `malformed ${what}: ${fault}`, { cause });
}

/** JSON that is an object of version 1. @throws {EvenkeelError} `invalid-argument`. */
export function parseDocument(what: string, bytes: Uint8Array): Fields {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw malformed(what, 'it is not JSON', error);
  }
  const fields = asFields(what, document);
  if (fields.v !== 1) throw malformed(what, `version ${fields.v}; expected 1`);
  return fields;
}

/** Runs a decoder whose parts throw what they will; the error says which document it was. */
export function decoding<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (isEvenkeelError(error, 'invalid-argument') && error.message.startsWith('malformed')) throw error;
    throw malformed(what, error instanceof Error ? error.message : String(error), error);
  }
}

export function asFields(what: string, value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw malformed(what, 'an object is expected');
}

export function asArray(what: string, value: unknown, max = MAX_ITEMS): readonly unknown[] {
  if (Array.isArray(value) && value.length <= max) return value;
  throw malformed(what, `an array of at most ${max} is expected`);
}

export function asString(what: string, value: unknown, maxLength = 1024): string {
  if (typeof value === 'string' && value.length <= maxLength) return value;
  throw malformed(what, `a string of at most ${maxLength} characters is expected`);
}

export function asNumber(what: string, value: unknown, min = 0, max = Number.MAX_VALUE): number {
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw malformed(what, `a number from ${min} to ${max} is expected`);
}

export function asInteger(what: string, value: unknown, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value)) return asNumber(what, value, min, max);
  throw malformed(what, `a whole number from ${min} to ${max} is expected`);
}
