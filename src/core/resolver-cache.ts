/**
 * The copy of an endpoint list on disk: `{ v: 1, name, savedAt, endpoints, sha256 }`.
 *
 * Is a cached list trustworthy? Only whole: the checksum covers everything, and a list that another resolver wrote is refused, since
 * sending one service's calls to another's servers is worse than sending none. `savedAt` is this machine's calendar.
 */
import { createHash } from 'node:crypto';
import { type Endpoint, parseEndpoints } from './endpoint.js';
import { EvenkeelError } from './errors.js';

/** A hundred thousand endpoints take some 20 MB. */
export const MAX_CACHE_BYTES = 64 * 1024 * 1024;

export interface CachedList {
  readonly endpoints: readonly Endpoint[];
  /** Clock.wallTime() of the last proof that the list held. */
  readonly savedAt: number;
}

/** @param name - Of the resolver. */
export function encodeCachedList(name: string, { endpoints, savedAt }: CachedList): Uint8Array {
  const document = { v: 1, name, savedAt, endpoints, sha256: checksum(name, savedAt, endpoints) };
  return new TextEncoder().encode(`${JSON.stringify(document)}\n`);
}

/** @throws {EvenkeelError} `data-loss` for anything but a whole list written by a resolver of that name. */
export function decodeCachedList(name: string, bytes: Uint8Array): CachedList {
  try {
    const document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (document?.v !== 1) throw broken(`version ${document?.v}; expected 1`);
    if (document.name !== name) throw broken(`it belongs to ${document.name}, not ${name}`);
    if (document.sha256 !== checksum(name, document.savedAt, document.endpoints)) throw broken('its checksum does not hold');
    if (!Number.isFinite(document.savedAt)) throw broken('it does not say when it was saved');
    return { endpoints: parseEndpoints(document.endpoints), savedAt: document.savedAt };
  } catch (error) {
    if (error instanceof EvenkeelError && error.code === 'data-loss') throw error;
    throw broken(error instanceof Error ? error.message : String(error), error);
  }
}

function checksum(name: string, savedAt: unknown, endpoints: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([1, name, savedAt, endpoints]))
    .digest('hex');
}

function broken(fault: string, cause?: unknown): EvenkeelError {
  return new EvenkeelError('data-loss', `the cached endpoint list is ignored: ${fault}`, { cause });
}
