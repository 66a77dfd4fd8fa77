/**
 * The snapshot as documents of a state transport: one, `knobs/<scope>/head`, or where that would be too large a head that names its parts,
 * `knobs/<scope>/parts/<id>/<n>`. Parts are written first and the head by compare-and-set: a reader finds all of it or none. Of two writers one wins.
 */
import { createHash } from 'node:crypto';
import { keySegment } from '../core/announcement.js';
import { EvenkeelError, isEvenkeelError } from '../core/errors.js';
import type { StateTransport } from '../core/transport/state.js';
import { MAX_STATE_BYTES } from '../core/transport/state.js';
import { decodeSnapshot, encodeSnapshot, type KnobSnapshot } from './snapshot.js';

/** A snapshot of 10 MB has 64 parts. */
const PART_BYTES = MAX_STATE_BYTES - 16 * 1024;
const MAX_PARTS = 64;

interface PartsHead {
  readonly v: 1;
  readonly parts: number;
  readonly id: string;
  readonly sha256: string;
}

export function scopePrefix(scope: string): string {
  return `knobs/${keySegment(scope)}/`;
}

export function headKey(scope: string): string {
  return `${scopePrefix(scope)}head`;
}

function partKey(scope: string, id: string, part: number): string {
  return `${scopePrefix(scope)}parts/${keySegment(id)}/${part}`;
}

/**
 * Of the head's bytes; parts are fetched.
 * @throws {EvenkeelError} `aborted` when a part is gone: a newer head has replaced it. As `decodeSnapshot`; what `state` throws.
 */
export async function readSnapshot(
  state: StateTransport,
  scope: string,
  head: Uint8Array,
  signal?: AbortSignal,
): Promise<KnobSnapshot> {
  const parts = partsOf(head);
  if (parts === undefined) return decodeSnapshot(head);
  const chunks: Uint8Array[] = [];
  for (let part = 0; part < parts.parts; part++) {
    const entry = await state.get(partKey(scope, parts.id, part), signal && { signal });
    if (entry === undefined)
      throw new EvenkeelError('aborted', `part ${part} of the state of knobs is gone`, { retryable: 'yes' });
    chunks.push(entry.value);
  }
  const bytes = Buffer.concat(chunks);
  if (sha256(bytes) !== parts.sha256)
    throw new EvenkeelError('data-loss', 'the parts of the state of knobs are not those of its head');
  return decodeSnapshot(bytes);
}

/**
 * Writes it over `expect`, the revision of the head that was read; resolves with the new one.
 * @param id - Drawn anew by each write.
 * @throws {EvenkeelError} `aborted` when another was faster; `out-of-range` above 10 MB or so; what `state` throws.
 */
export async function writeSnapshot(
  state: StateTransport,
  scope: string,
  snapshot: KnobSnapshot,
  expect: number | 'absent',
  id: string,
): Promise<number> {
  const bytes = encodeSnapshot(snapshot);
  if (bytes.length <= PART_BYTES) return state.put(headKey(scope), bytes, { expect });
  const parts = Math.ceil(bytes.length / PART_BYTES);
  if (parts > MAX_PARTS)
    throw new EvenkeelError('out-of-range', `the state of knobs has ${bytes.length} bytes; at most ${MAX_PARTS * PART_BYTES}`);
  for (let part = 0; part < parts; part++) {
    await state.put(partKey(scope, id, part), bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES), { expect: 'absent' });
  }
  const head: PartsHead = { v: 1, parts, id, sha256: sha256(bytes) };
  const bytesOfHead = new TextEncoder().encode(JSON.stringify(head));
  try {
    return await state.put(headKey(scope), bytesOfHead, { expect });
  } catch (error) {
    // Another was faster, and nothing names these parts. After any other failure the head may be there.
    if (isEvenkeelError(error, 'aborted')) await removeParts(state, scope, bytesOfHead).catch(() => {});
    throw error;
  }
}

/** Removes the parts of a head that was replaced. Best effort: what stays is never read. */
export async function removeParts(state: StateTransport, scope: string, head: Uint8Array): Promise<void> {
  const parts = partsOf(head);
  for (let part = 0; part < (parts?.parts ?? 0); part++) await state.delete(partKey(scope, (parts as PartsHead).id, part));
}

/** Undefined: it is the snapshot itself, or nothing we know. */
function partsOf(head: Uint8Array): PartsHead | undefined {
  // Larger ones are no heads of parts, and need not be parsed twice.
  if (head.length > 1024) return undefined;
  try {
    const document = JSON.parse(new TextDecoder().decode(head));
    const { id, parts, sha256: sum, v } = document ?? {};
    const isHead = v === 1 && Number.isInteger(parts) && parts > 0 && parts <= MAX_PARTS && typeof id === 'string';
    return isHead && typeof sum === 'string' ? { v, parts, id, sha256: sum } : undefined;
  } catch {
    return undefined;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
