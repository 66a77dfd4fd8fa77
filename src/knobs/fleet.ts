/** The instances that report, and what they agree on. */

import { keySegment } from '../core/announcement.js';
import type { Clock } from '../core/clock.js';
import type { StateTransport } from '../core/transport/state.js';
import { listEntries } from './listed.js';
import {
  decodeRegistry,
  decodeReport,
  type InstanceReport,
  type RegisteredKnob,
  registriesPrefix,
  reportsPrefix,
} from './report.js';

export interface Fleet {
  readonly instances: readonly InstanceReport[];
  /** By service, of the registries its instances have. */
  readonly registries: ReadonlyMap<string, readonly Registered[]>;
}

export interface Registered {
  readonly hash: string;
  readonly instances: number;
  readonly knobs: readonly RegisteredKnob[];
}

/** Documents that are none are left out: they say nothing of knobs. */
export async function readFleet(state: StateTransport, scope: string, clock: Clock, timeoutMs: number): Promise<Fleet> {
  const [reports, registries] = await Promise.all([
    listEntries(state, reportsPrefix(scope), clock, timeoutMs),
    listEntries(state, registriesPrefix(scope), clock, timeoutMs),
  ]);
  const instances = reports.flatMap(({ value }) => readable(() => decodeReport(value)));
  const known = new Map(registries.flatMap(({ key, value }) => readable(() => [key, decodeRegistry(value)] as const)));
  const byService = new Map<string, Map<string, number>>();
  for (const { registryHash, service } of instances) {
    const hashes = byService.get(service) ?? new Map<string, number>();
    byService.set(service, hashes.set(registryHash, (hashes.get(registryHash) ?? 0) + 1));
  }
  const registered = (service: string, [hash, count]: [string, number]): Registered => ({
    hash,
    instances: count,
    knobs: known.get(`${registriesPrefix(scope)}${keySegment(service)}/${keySegment(hash)}`) ?? [],
  });
  return {
    instances,
    registries: new Map([...byService].map(([service, hashes]) => [service, [...hashes].map((one) => registered(service, one))])),
  };
}

/** Services whose instances do not run the same knobs. */
export function disagreeing({ registries }: Fleet): string[] {
  return [...registries].filter(([, some]) => some.length > 1).map(([service]) => service);
}

function readable<T>(read: () => T): T[] {
  try {
    return [read()];
  } catch {
    return [];
  }
}
