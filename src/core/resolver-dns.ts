/**
 * Endpoints from DNS. When is the name looked up? When the shortest TTL of the last answer has passed, within the bounds and with a
 * jitter that keeps many callers from asking together; after a failure with growing pauses; and soon after `refresh()`, which the
 * router calls when connections fail.
 */
import type { Timer } from './clock.js';
import { parseEndpoint } from './endpoint.js';
import { checkInteger, checkNumber, EvenkeelError, invalidArgument } from './errors.js';
import type { DnsRecord } from './host.js';
import type { Random } from './random.js';
import type { LastGoodOptions, Resolution, Resolver, ResolverListener, ResolverRuntime } from './resolver.js';
import { addressEndpoints, serviceEndpoints } from './resolver-dns-records.js';
import { EndpointList } from './resolver-list.js';

export type DnsRecordType = 'A' | 'AAAA' | 'SRV';

export interface DnsResolverOptions extends LastGoodOptions {
  /** The name to look up; for SRV the whole one: `_http._tcp.search.internal`. */
  name: string;
  /** 1 to 65,535. Default: that of the scheme. Not with SRV, whose records hold it. */
  port?: number;
  /** Scheme of the addresses. Default `http`. */
  scheme?: string;
  /** Default `['A', 'AAAA']`. `SRV` stands alone. */
  records?: readonly DnsRecordType[];
  /** Least milliseconds between two look-ups that nobody asked for. Default 5,000; 100 to 86,400,000. */
  intervalMs?: number;
  /** Most of them, however long the TTL; also the longest pause after failures. Default 30,000; `intervalMs` and up. */
  maxIntervalMs?: number;
}

export const DEFAULT_DNS_INTERVAL_MS = 5000;
export const DEFAULT_DNS_MAX_INTERVAL_MS = 30_000;
/** However often `refresh()` is called. */
const MIN_REFRESH_MS = 1000;
const FIRST_RETRY_MS = 500;
const LOOKUP_TIMEOUT_MS = 10_000;
const DAY_MS = 86_400_000;

interface DnsQuery {
  readonly name: string;
  readonly scheme: string;
  readonly port: number | undefined;
  readonly records: readonly DnsRecordType[];
  readonly intervalMs: number;
  readonly maxIntervalMs: number;
}

/**
 * Looks a service up in DNS and keeps looking. A and AAAA give one endpoint an address, IPv6 in brackets; SRV gives those of the
 * lowest priority only, with their weights. A record type that fails keeps its last answer while the other goes on.
 *
 * @example
 * ```ts
 * import { dnsResolver } from 'evenkeel/core';
 *
 * const resolver = dnsResolver({ name: 'search.internal', port: 8000 });
 * ```
 * @throws {EvenkeelError} `invalid-argument` for an empty name, SRV beside another type or with a port, or a number out of range.
 */
export function dnsResolver(options: DnsResolverOptions): Resolver {
  const query = resolveQuery(options);
  const name = `dns:${query.name}`;
  return { name, start: (runtime, listener) => new DnsResolution(name, query, runtime, listener, options) };
}

function resolveQuery(options: DnsResolverOptions): DnsQuery {
  const { name, port, scheme = 'http', records = ['A', 'AAAA'] } = options;
  if (typeof name !== 'string' || name === '') throw invalidArgument('name', name, 'a name to look up');
  const isKnown = records.length > 0 && records.every((type) => type === 'A' || type === 'AAAA' || type === 'SRV');
  if (!isKnown || new Set(records).size !== records.length)
    throw invalidArgument('records', records, "some of 'A', 'AAAA', 'SRV'");
  const isService = records.includes('SRV');
  if (isService && records.length > 1) throw invalidArgument('records', records, "'SRV' alone, or 'A' and 'AAAA'");
  if (port !== undefined && isService) throw invalidArgument('port', port, 'no port with SRV records, which hold their own');
  if (port !== undefined) checkInteger('port', port, 1, 65_535);
  parseEndpoint(`${scheme}://localhost`);
  const intervalMs = checkNumber('intervalMs', options.intervalMs ?? DEFAULT_DNS_INTERVAL_MS, 100, DAY_MS);
  const longest = options.maxIntervalMs ?? Math.max(DEFAULT_DNS_MAX_INTERVAL_MS, intervalMs);
  const maxIntervalMs = checkNumber('maxIntervalMs', longest, intervalMs, DAY_MS);
  return { name, scheme, port, records, intervalMs, maxIntervalMs };
}

class DnsResolution implements Resolution {
  readonly #query: DnsQuery;
  readonly #runtime: ResolverRuntime;
  readonly #random: Random;
  readonly #list: EndpointList;
  readonly #answers = new Map<DnsRecordType, readonly DnsRecord[]>();
  #timer: Timer | undefined;
  #isLooking = false;
  #askedAgain = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #dueAt = 0;
  #failures = 0;

  constructor(name: string, query: DnsQuery, runtime: ResolverRuntime, listener: ResolverListener, options: LastGoodOptions) {
    this.#query = query;
    this.#runtime = runtime;
    this.#random = runtime.random.fork(name);
    this.#list = new EndpointList(name, runtime, listener, options);
    queueMicrotask(() => void this.#look());
  }

  get ageMs(): number {
    return this.#list.ageMs;
  }

  refresh(): void {
    if (this.#isLooking) {
      // The answer under way may be older than the reason to ask.
      this.#askedAgain = true;
      return;
    }
    const now = this.#runtime.clock.now();
    const soonest = Math.max(now, this.#lookedAt + MIN_REFRESH_MS);
    if (soonest < this.#dueAt) this.#schedule(soonest - now);
  }

  close(): void {
    this.#list.close();
    this.#timer?.cancel();
  }

  #schedule(ms: number): void {
    if (this.#list.isClosed) return;
    const { clock } = this.#runtime;
    this.#timer?.cancel();
    this.#dueAt = clock.now() + ms;
    this.#timer = clock.timer(ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#list.isClosed || this.#isLooking) return;
    this.#isLooking = true;
    this.#askedAgain = false;
    this.#lookedAt = this.#runtime.clock.now();
    const faults = await this.#askAll();
    this.#isLooking = false;
    if (this.#list.isClosed) return;
    const isGood = this.#offer(faults);
    this.#failures = isGood && faults.length === 0 ? 0 : this.#failures + 1;
    this.#schedule(this.#failures === 0 ? this.#untilStale() : this.#pause());
    if (this.#askedAgain) this.refresh();
  }

  /** One look-up of each type, at once; what failed. */
  async #askAll(): Promise<unknown[]> {
    const { name, records } = this.#query;
    const results = await Promise.allSettled(records.map((type) => this.#ask(name, type)));
    const faults: unknown[] = [];
    results.forEach((result, i) => {
      const type = records[i] as DnsRecordType;
      if (result.status === 'fulfilled') this.#answers.set(type, result.value);
      else faults.push(result.reason);
    });
    return faults;
  }

  /** A look-up that never settles must not be the last one. */
  async #ask(name: string, type: DnsRecordType): Promise<readonly DnsRecord[]> {
    const { clock, host } = this.#runtime;
    let timer: Timer | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = clock.timer(LOOKUP_TIMEOUT_MS, () => {
        const fault = `no answer for ${name} (${type}) within ${LOOKUP_TIMEOUT_MS} ms`;
        reject(new EvenkeelError('deadline-exceeded', fault, { retryable: 'yes' }));
      });
    });
    try {
      return await Promise.race([host.lookup(name, type), timeout]);
    } finally {
      timer?.cancel();
    }
  }

  #offer(faults: readonly unknown[]): boolean {
    const { scheme, port, records } = this.#query;
    if (faults.length < records.length) {
      const found = records.flatMap((type) => this.#answers.get(type) ?? []);
      const endpoints = records.includes('SRV') ? serviceEndpoints(scheme, found) : addressEndpoints(scheme, port, found);
      // Nothing from a type that answered, while another failed, is not yet nothing.
      if (endpoints.length > 0 || faults.length === 0) {
        if (faults.length > 0) this.#list.report(faults[0]);
        return this.#list.offer(endpoints);
      }
    }
    this.#list.fail(faults[0]);
    return false;
  }

  #untilStale(): number {
    const { intervalMs, maxIntervalMs } = this.#query;
    let ms = maxIntervalMs;
    let isTold = false;
    for (const records of this.#answers.values()) {
      for (const { ttl } of records) {
        if (ttl === undefined) continue;
        isTold = true;
        ms = Math.min(ms, ttl * 1000);
      }
    }
    return (isTold ? Math.max(intervalMs, ms) : intervalMs) * (1 + 0.1 * this.#random.next());
  }

  /** After the n-th failure in a row: half to all of 0.5 s x 2^(n-1), at most `maxIntervalMs`. */
  #pause(): number {
    const ms = Math.min(this.#query.maxIntervalMs, FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 30));
    return ms * (0.5 + 0.5 * this.#random.next());
  }
}
