/** What one person wants and a second has to agree to: `knob-proposals/<scope>/<id>`, leased for an hour. */
import { keySegment } from '../core/announcement.js';
import type { StateTransport } from '../core/transport/state.js';
import type { FlipOptions } from './actuator.js';
import type { KnobChange } from './change.js';
import { decodeHistory, type HistoryEntry } from './history.js';

const LEASE_MS = 3_600_000;

/** Functions cannot be handed on: the guard is left out. */
export type ProposedOptions = Omit<FlipOptions, 'guard' | 'signal'>;

export interface Proposal extends HistoryEntry {
  readonly change: KnobChange;
  readonly options: ProposedOptions;
}

export function proposalsPrefix(scope: string): string {
  return `knob-proposals/${keySegment(scope)}/`;
}

export function proposalKey(scope: string, id: string): string {
  return proposalsPrefix(scope) + keySegment(id);
}

export async function writeProposal(
  state: StateTransport,
  scope: string,
  entry: HistoryEntry,
  { guard: _guard, signal: _signal, ...options }: FlipOptions,
): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify({ v: 1, ...entry, options }));
  await state.put(proposalKey(scope, entry.id), bytes, { expect: 'absent', leaseMs: LEASE_MS });
}

export async function readProposal(state: StateTransport, scope: string, id: string): Promise<Proposal | undefined> {
  const entry = await state.get(proposalKey(scope, id));
  return entry && (decodeHistory(entry.value) as Proposal | undefined);
}
