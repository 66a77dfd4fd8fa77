/** What DNS records mean as endpoints. Ids are addresses, so that an answer in another order, or without one server, moves nobody. */
import type { Endpoint } from './endpoint.js';
import type { DnsRecord } from './host.js';

/** RFC 2782: a weight of 0 beside others is a very small chance, not none. */
const LEAST_WEIGHT = 0.1;

export function addressEndpoints(scheme: string, port: number | undefined, records: readonly DnsRecord[]): Endpoint[] {
  const addresses = new Set(records.map(({ host }) => addressOf(scheme, host, port)));
  return [...addresses].sort().map((address) => ({ id: address, address }));
}

/** Of the lowest priority only; the others are spares for when none of these is left in DNS. */
export function serviceEndpoints(scheme: string, records: readonly DnsRecord[]): Endpoint[] {
  // RFC 2782: the target "." says that the service is decidedly not available.
  const usable = records.map((record) => ({ ...record, host: record.host.replace(/\.$/, '') })).filter(({ host }) => host !== '');
  const lowest = Math.min(...usable.map(({ priority = 0 }) => priority));
  const weights = new Map<string, number>();
  for (const { host, port, priority = 0, weight = 0 } of usable) {
    if (priority !== lowest) continue;
    const address = addressOf(scheme, host, port);
    weights.set(address, (weights.get(address) ?? 0) + weight);
  }
  const isWeighted = [...weights.values()].some((weight) => weight > 0);
  return [...weights.keys()].sort().map((address) => {
    const weight = isWeighted ? Math.max(LEAST_WEIGHT, weights.get(address) ?? 0) : 1;
    return { id: address, address, weight };
  });
}

function addressOf(scheme: string, host: string, port: number | undefined): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === undefined ? `${scheme}://${name}` : `${scheme}://${name}:${port}`;
}
