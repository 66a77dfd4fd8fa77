/**
 * Documents that belong to a term: what a leader writes, and what no leader of an earlier term can write over.
 *
 * How does the document know? It carries the token of the term that wrote it. A writer reads it, finds no higher token, and puts its own
 * by compare-and-set on the revision it read; if another wrote in between, that fails, and the next look shows whose it is.
 */
import { checkInteger, EvenkeelError, invalidArgument, isEvenkeelError } from './errors.js';
import type { StateEntry, StateTransport } from './transport/state.js';

/** Plain JSON. */
export type FencedValue = Readonly<Record<string, unknown>>;

export interface FencedDocument {
  readonly value: FencedValue;
  /** Of the term that wrote it. */
  readonly token: number;
  readonly revision: number;
}

/** Losing races in a row against writers of the same term means that two processes believe in it, or that this one never gets there. */
const MAX_RACES = 100;

/**
 * Puts `value` under `key` for the term of `token`, and resolves with its revision.
 * @param value - The document, or a function that makes it of the present one; called again when another write came between.
 * @param options.leaseMs - Gone when nobody has put it again for this long; then there is no fence either. Default: it stays.
 * @throws {EvenkeelError} `aborted` when a later term has written it (`details.token`); `data-loss` for a document that is not one of these;
 *   what `state` throws.
 */
export async function putFenced(
  state: StateTransport,
  key: string,
  value: FencedValue | ((present: FencedValue | undefined) => FencedValue | Promise<FencedValue>),
  token: number,
  options: { signal?: AbortSignal; leaseMs?: number } = {},
): Promise<number> {
  checkInteger('token', token, 1);
  for (let race = 1; ; race++) {
    const entry = await state.get(key, options);
    const present = entry && decode(key, entry);
    if (present !== undefined && present.token > token) {
      throw new EvenkeelError('aborted', `${key} belongs to term ${present.token}, which came after ${token}`, {
        details: { key, token: present.token },
      });
    }
    const next = typeof value === 'function' ? await value(present?.value) : value;
    try {
      return await state.put(key, encode(next, token), { ...options, expect: entry?.revision ?? 'absent' });
    } catch (error) {
      if (!isEvenkeelError(error, 'aborted') || race >= MAX_RACES) throw error;
    }
  }
}

/** @throws {EvenkeelError} `data-loss` for a document that `putFenced` did not write; what `state` throws. */
export async function getFenced(
  state: StateTransport,
  key: string,
  options: { signal?: AbortSignal } = {},
): Promise<FencedDocument | undefined> {
  const entry = await state.get(key, options);
  return entry && decode(key, entry);
}

function encode(value: FencedValue, token: number): Uint8Array {
  if (typeof value !== 'object' || value === null) throw invalidArgument('value', value, 'a plain object');
  return new TextEncoder().encode(JSON.stringify({ v: 1, token, value }));
}

function decode(key: string, { value: bytes, revision }: StateEntry): FencedDocument {
  let document: { v?: unknown; token?: unknown; value?: unknown } | null = null;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // As for any other shape that is not ours.
  }
  const { v, token, value } = document ?? {};
  if (v !== 1 || typeof token !== 'number' || typeof value !== 'object' || value === null) {
    throw new EvenkeelError('data-loss', `${key} holds no document of a term`, { details: { key } });
  }
  return { value: value as FencedValue, token, revision };
}
