/** A store, builders and readers of routing tables on it, servers that announce themselves: under virtual time. */
import { announce, type Endpoint, type LoadReport } from 'evenkeel/core';
import { createMemoryState, memoryStateStore } from 'evenkeel/memory';
import {
  createRibBuilder,
  type RibBuilderOptions,
  type RibResolverOptions,
  type RoutingListener,
  type RoutingTable,
  ribResolver,
} from 'evenkeel/router';
import { type FakeHost, fakeRuntime } from './fake-host.js';
import { FlakyState } from './flaky-state.js';
import { ResolverLog } from './resolver-log.js';

export const SERVICE = 'search';

/** Hears tables too, and whether one is older than the one before. */
export class RoutingLog extends ResolverLog implements RoutingListener {
  readonly tables: (RoutingTable | undefined)[] = [];
  readonly disorders: string[] = [];

  onRouting(table: RoutingTable | undefined): void {
    const last = this.table;
    if (table !== undefined && last !== undefined) {
      const isOlder = table.token < last.token || (table.token === last.token && table.version < last.version);
      if (isOlder || table.version < last.version) {
        this.disorders.push(`version ${table.version} of ${table.token} after ${last.version} of ${last.token}`);
      }
    }
    this.tables.push(table);
  }

  get table(): RoutingTable | undefined {
    return this.tables.findLast((table) => table !== undefined);
  }
}

export function ribRig(seed = 1) {
  const runtime = fakeRuntime({ seed });
  const { clock } = runtime;
  const store = memoryStateStore({ random: runtime.random });
  const transport = () => new FlakyState(createMemoryState({ clock, store }));
  const state = transport();
  let seeds = seed;
  const ownRuntime = (host?: FakeHost) => fakeRuntime({ clock, seed: ++seeds, host });
  return {
    runtime,
    clock,
    store,
    state,
    builder(options: Partial<RibBuilderOptions> = {}) {
      const own = transport();
      return { state: own, builder: createRibBuilder({ state: own, runtime: ownRuntime(), ...options }) };
    },
    reader(options: Partial<RibResolverOptions> = {}, host?: FakeHost) {
      const own = transport();
      const log = new RoutingLog();
      const reader = ownRuntime(host);
      const resolver = ribResolver({ state: own, service: SERVICE, ...options });
      return { state: own, log, host: reader.host, runtime: reader, resolution: resolver.start(reader, log) };
    },
    /** `a` becomes http://a:80. */
    server(
      id: string,
      options: { locality?: string; weight?: number; service?: string; load?: () => LoadReport; leaseMs?: number } = {},
    ) {
      const { service = SERVICE, load, leaseMs, ...rest } = options;
      const own = transport();
      const endpoint: Endpoint = { id, address: `http://${id}:80`, ...rest };
      const announcement = announce({ state: own, service, endpoint, lameDuckMs: 0, load, leaseMs, runtime: ownRuntime() });
      return { state: own, announcement };
    },
  };
}
