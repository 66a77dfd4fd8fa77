/** One service of the config as a running router. It owns its transport and its store: all are gone when it has drained. */
import { invalidArgument } from '../../core/errors.js';
import { headerName, headerValue } from '../../core/headers.js';
import type { Resolver } from '../../core/resolver.js';
import { dnsResolver } from '../../core/resolver-dns.js';
import { fileResolver } from '../../core/resolver-file.js';
import { stateResolver } from '../../core/resolver-state.js';
import { staticResolver } from '../../core/resolver-static.js';
import type { Runtime } from '../../core/runtime.js';
import type { StateTransport } from '../../core/transport/state.js';
import { polling } from '../../router/load-sources/polling.js';
import { prometheus } from '../../router/load-sources/prometheus.js';
import { responseHeader } from '../../router/load-sources/response-header.js';
import type { LoadSource } from '../../router/load-sources/source.js';
import type { RouterOptions } from '../../router/options.js';
import {
  auto,
  leastLoaded,
  type PickerFactory,
  p2c,
  peakEwma,
  prefixAffinity,
  probePool,
  random,
  ringHash,
  roundRobin,
  weightedRoundRobin,
} from '../../router/pickers/index.js';
import { MAX_AFFINITY_KEYS } from '../../router/request-faults.js';
import { ribResolver } from '../../router/rib/rib-resolver.js';
import { createRouter, type Router } from '../../router/router.js';
import type { RouterRequest } from '../../router/router-request.js';
import { createTierSplit } from '../../router/routes/tier-split.js';
import { createTrafficSplit } from '../../router/routes/traffic-split.js';
import { createFileState } from '../../transports/files/index.js';
import { createHttpTransport, type Undici } from '../../transports/http/index.js';
import type { ServiceConfig } from './config-schema.js';

export interface Service {
  readonly name: string;
  readonly config: ServiceConfig;
  readonly router: Router;
  /** Ends when its calls have. */
  drain(): Promise<void>;
  /** Ends its calls. */
  close(): Promise<void>;
}

export interface ServiceEnvironment {
  readonly runtime: Runtime;
  readonly undici: Undici;
}

/** @throws {EvenkeelError} `invalid-argument` for what the router, its resolver or its transport refuses. Then nothing is left running. */
export function createService(name: string, config: ServiceConfig, { runtime, undici }: ServiceEnvironment): Service {
  const transport = createHttpTransport({ undici, clock: runtime.clock, ...config.http });
  const folder = folderOf(config);
  const state = folder === undefined ? undefined : fileState(folder, runtime);
  let router: Router;
  try {
    router = createRouter({
      ...routerOptions(config),
      service: name,
      transport,
      runtime,
      resolver: resolverOf(name, config, state),
    });
  } catch (error) {
    void transport.close();
    void state?.close();
    throw error;
  }
  const closeRest = async () => {
    await transport.close();
    await state?.close();
  };
  return {
    name,
    config,
    router,
    drain: () => router.drain().then(closeRest),
    close: () => router.close().then(closeRest),
  };
}

/**
 * Asks the parts of a service whether they would take its config: the ranges of their options are theirs. Nothing is looked up or
 * connected to. @throws {EvenkeelError} `invalid-argument`.
 */
export function tryService(name: string, config: ServiceConfig, runtime: Runtime): void {
  const state = folderOf(config) === undefined ? undefined : NO_STATE;
  resolverOf(name, config, state);
  const transport = createHttpTransport({ undici: NO_UNDICI, clock: runtime.clock, ...config.http });
  try {
    void createRouter({ ...routerOptions(config), service: name, transport, runtime, resolver: NOWHERE }).close();
  } finally {
    void transport.close();
  }
}

const NOWHERE: Resolver = {
  name: 'nowhere',
  start: () => ({ ageMs: Number.POSITIVE_INFINITY, refresh() {}, close() {} }),
};
const NO_STATE = { watch() {} } as unknown as StateTransport;
const NO_UNDICI = { Pool: class {} } as unknown as Undici;

function folderOf({ resolver }: ServiceConfig): string | undefined {
  return resolver.state?.folder ?? resolver.rib?.folder;
}

function fileState(folder: string, { clock, random: chance }: Runtime): StateTransport {
  return createFileState({ folder, clock, random: chance.fork('proxy state') });
}

function routerOptions(config: ServiceConfig) {
  const { timeoutMs, attemptTimeoutMs, firstByteTimeoutMs, idleTimeoutMs, maxInFlightPerEndpoint, maxQueued } = config;
  const { panicThreshold, retry, health, ejection, hedge, slowStart, locality, rings, ringThreshold, maxEndpoints } = config;
  const { enabled = true, ...whenEjected } = ejection ?? {};
  return {
    timeoutMs,
    attemptTimeoutMs,
    firstByteTimeoutMs,
    idleTimeoutMs,
    maxInFlightPerEndpoint,
    maxQueued,
    panicThreshold,
    retry,
    health,
    hedge,
    slowStart,
    locality,
    rings,
    ringThreshold,
    subset: maxEndpoints === undefined ? undefined : { maxEndpoints },
    ejection: enabled ? whenEjected : (false as const),
    versions: config.versions && createTrafficSplit(config.versions),
    tiers: config.tiers && createTierSplit(config.tiers),
    ...placesOf(config),
    picker: pickerOf(config),
    loadSources: loadSourcesOf(config),
  };
}

/** What callers say in headers of where their requests go. */
function placesOf({ shardHeader, affinityHeader, resolver }: ServiceConfig): Pick<RouterOptions, 'shardOf' | 'affinityOf'> {
  // Without a map nobody holds any shard, and such requests would fill the queue.
  if (shardHeader !== undefined && resolver.rib === undefined)
    throw invalidArgument('shardHeader', shardHeader, 'the resolver rib beside it');
  const named = (header: string | undefined) => {
    if (header === undefined) return undefined;
    const name = headerName(header);
    return ({ headers }: RouterRequest) => headerValue(headers as readonly string[], name);
  };
  const affinityOf = named(affinityHeader);
  return {
    shardOf: named(shardHeader),
    affinityOf:
      affinityOf &&
      ((request) =>
        affinityOf(request)
          ?.split(',', MAX_AFFINITY_KEYS)
          .map((key) => key.trim())),
  };
}

function pickerOf({ picker, choices }: ServiceConfig): PickerFactory {
  switch (picker) {
    case 'auto':
      return auto();
    case 'probe-pool':
      return probePool();
    case 'p2c':
      return p2c({ choices });
    case 'least-loaded':
      return leastLoaded();
    case 'peak-ewma':
      return peakEwma({ choices });
    case 'round-robin':
      return roundRobin();
    case 'weighted-round-robin':
      return weightedRoundRobin();
    case 'random':
      return random();
    case 'ring-hash':
      return ringHash();
    case 'prefix-affinity':
      return prefixAffinity();
  }
}

function loadSourcesOf({ load }: ServiceConfig): LoadSource[] {
  const sources = [responseHeader({ ask: load?.ask })];
  if (load?.poll !== undefined) sources.push(polling(load.poll));
  if (load?.prometheus !== undefined) sources.push(prometheus(load.prometheus));
  return sources;
}

function resolverOf(name: string, { resolver }: ServiceConfig, state: StateTransport | undefined): Resolver {
  if (resolver.static !== undefined) return staticResolver(resolver.static.map(withId));
  if (resolver.file !== undefined) return fileResolver(resolver.file);
  if (resolver.dns !== undefined) return dnsResolver(resolver.dns);
  if (resolver.rib !== undefined) {
    const { folder: _folder, ...options } = resolver.rib;
    return ribResolver({ service: name, ...options, state: state as StateTransport });
  }
  const { service = name, cacheFile, allowEmpty } = resolver.state ?? {};
  return stateResolver({ state: state as StateTransport, service, cacheFile, allowEmpty });
}

type StaticEndpoint = NonNullable<ServiceConfig['resolver']['static']>[number];

function withId(endpoint: StaticEndpoint) {
  if (typeof endpoint === 'string') return endpoint;
  return { ...endpoint, id: endpoint.id ?? endpoint.address.replace(/\/$/, '') };
}
