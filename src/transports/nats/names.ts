/**
 * Keys and names as tokens of subjects. What NATS allows in a key stays as it is, so that `nats kv get` finds it; every other byte
 * becomes `=HH`. One key has one token, and a token that no key has is nobody's.
 */
import { invalidArgument } from '../../core/errors.js';

const PLAIN = /^[-/_a-zA-Z0-9]$/;

/** A dot separates tokens: inside a key it stays, at its ends or doubled it would leave a token empty. */
export function encodeKey(key: string): string {
  if (/^[-/_a-zA-Z0-9]+(\.[-/_a-zA-Z0-9]+)*$/.test(key)) return key;
  let token = '';
  const bytes = Buffer.from(key);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    const character = String.fromCharCode(byte);
    const isInnerDot = byte === 0x2e && isPlain(bytes[i - 1]) && isPlain(bytes[i + 1]);
    token += PLAIN.test(character) || isInnerDot ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token;
}

/** Undefined for what {@link encodeKey} would not have made: written by another program, under another rule. */
export function decodeKey(token: string): string | undefined {
  if (!token.includes('=')) return encodeKey(token) === token ? token : undefined;
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    const isEscape = token[i] === '=';
    bytes.push(isEscape ? Number.parseInt(token.slice(i + 1, i + 3), 16) : token.charCodeAt(i));
    if (isEscape) i += 2;
  }
  const key = Buffer.from(bytes).toString();
  return encodeKey(key) === token ? key : undefined;
}

/** @throws {EvenkeelError} `invalid-argument` for what cannot be part of a stream's name. */
export function checkName(what: string, name: string): string {
  if (typeof name === 'string' && /^[-_a-zA-Z0-9]{1,64}$/.test(name)) return name;
  throw invalidArgument(what, name, '1 to 64 letters, digits, "-" or "_"');
}

function isPlain(byte: number | undefined): boolean {
  return byte !== undefined && PLAIN.test(String.fromCharCode(byte));
}
