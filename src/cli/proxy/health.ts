/** What the health route says: whether new requests are welcome, and how each service is. No address of a server is in it. */
import type { Service } from './service.js';

export interface ProxyHealth {
  readonly status: 'serving' | 'draining';
  readonly version: string;
  readonly uptimeMs: number;
  /** Requests, this one not counted. */
  readonly inFlight: number;
  readonly services: Readonly<Record<string, ServiceHealth>>;
}

export interface ServiceHealth {
  readonly endpoints: number;
  readonly open: number;
  readonly isPanicking: boolean;
  /** Milliseconds since the list of endpoints was last proven; null: never. */
  readonly tableAgeMs: number | null;
  readonly inFlight: number;
  readonly queued: number;
  /** Ended, by outcome. */
  readonly calls: Readonly<Record<string, number>>;
  readonly retries: number;
}

export function healthOf(services: Iterable<Service>): Record<string, ServiceHealth> {
  const health: Record<string, ServiceHealth> = {};
  for (const { name, router } of services) {
    const { endpoints, isPanicking, tableAgeMs, inFlight, queued, calls, retries } = router.snapshot();
    const open = endpoints.filter(({ state }) => state === 'open').length;
    health[name] = { endpoints: endpoints.length, open, isPanicking, tableAgeMs, inFlight, queued, calls, retries };
  }
  return health;
}
