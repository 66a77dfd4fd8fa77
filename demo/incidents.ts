/** What happens to the fleet during a run, the same for every contender. */
import { DEGRADED_FACTOR, DEGRADES_AT, DEGRADING_SERVER, DIES_AT, DYING_SERVER, RECOVERS_AT, RETURNS_AT } from './parameters.js';

export interface Incident {
  readonly atMs: number;
  readonly server: number;
  readonly kind: 'degrades' | 'recovers' | 'dies' | 'returns';
}

export function incidentsOf(durationMs: number): Incident[] {
  return [
    { atMs: durationMs * DEGRADES_AT, server: DEGRADING_SERVER, kind: 'degrades' },
    { atMs: durationMs * DIES_AT, server: DYING_SERVER, kind: 'dies' },
    { atMs: durationMs * RECOVERS_AT, server: DEGRADING_SERVER, kind: 'recovers' },
    { atMs: durationMs * RETURNS_AT, server: DYING_SERVER, kind: 'returns' },
  ];
}

/** What an incident is done with. */
export interface IncidentTarget {
  setSlowdown(server: number, factor: number): void;
  kill(server: number): void;
  revive(server: number): void;
}

export function applyIncident({ kind, server }: Incident, fleet: IncidentTarget): void {
  if (kind === 'degrades') fleet.setSlowdown(server, DEGRADED_FACTOR);
  else if (kind === 'recovers') fleet.setSlowdown(server, 1);
  else if (kind === 'dies') fleet.kill(server);
  else fleet.revive(server);
}
