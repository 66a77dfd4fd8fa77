/**
 * Who turned what, when and why: one document a change, `knob-history/<scope>/<time>-<id>`, written before the change itself and never again. A change
 * that was not made, since its author lost a race or died, is there too, and not in the state.
 */
import { keySegment } from '../core/announcement.js';
import type { StateTransport } from '../core/transport/state.js';
import type { KnobChange } from './change.js';

export interface HistoryEntry {
  readonly id: string;
  readonly actor: string;
  /** Who agreed, for a level 1. */
  readonly approvedBy: string | null;
  /** Made alone although two were wanted: to be looked at afterwards. */
  readonly isBreakGlass: boolean;
  readonly reason: string;
  readonly atMs: number;
  readonly ttlMs: number;
  readonly change: KnobChange | { readonly type: 'revert'; readonly of: string };
  /** Of the state that it was made from. */
  readonly fromRevision: number;
}

export function historyPrefix(scope: string): string {
  return `knob-history/${keySegment(scope)}/`;
}

/** In order of time, by the writers' calendars. */
export function historyKey(scope: string, { atMs, id }: HistoryEntry): string {
  return `${historyPrefix(scope)}${String(Math.floor(atMs)).padStart(15, '0')}-${keySegment(id)}`;
}

export async function writeHistory(state: StateTransport, scope: string, entry: HistoryEntry): Promise<void> {
  await state.put(historyKey(scope, entry), new TextEncoder().encode(JSON.stringify({ v: 1, ...entry })), { expect: 'absent' });
}

/** Undefined for what is none. */
export function decodeHistory(bytes: Uint8Array): HistoryEntry | undefined {
  try {
    const { v, ...entry } = JSON.parse(new TextDecoder().decode(bytes));
    return v === 1 && typeof entry.id === 'string' ? entry : undefined;
  } catch {
    return undefined;
  }
}
