/** A client in the chaos: a production router that learns of the servers from the store, and what its counters must add up to. */
import { EventSource } from '../../core/events.js';
import { stateResolver } from '../../core/resolver-state.js';
import { RouterEngine } from '../../router/engine.js';
import type { RouterEvents } from '../../router/events.js';
import type { RouterOptions } from '../../router/options.js';
import { prefixAffinity, probePool } from '../../router/pickers/index.js';
import { ribResolver } from '../../router/rib/rib-resolver.js';
import type { SimMachine, SimProcess } from '../machine.js';
import type { Simulation } from '../simulation.js';
import type { SimStateStore } from '../stores/state-store.js';
import type { CallLedger } from './call-ledger.js';
import { CHAOS_SERVICE } from './chaos-server.js';
import type { ChaosShards } from './chaos-shards.js';

export const CHAOS_TIMEOUT_MS = 2000;
const ATTEMPT_TIMEOUT_MS = 700;
/** Where the clients are; half of the servers are there, too. */
const NEAR = 'eu/west/a';
/** Of calls that had better go together. */
const KEYS = 40;

const OPTIONS: Record<ChaosClientKind, Partial<RouterOptions>> = {
  plain: {},
  near: {
    locality: NEAR,
    picker: probePool(),
    hedge: { maxExtraLoad: 0.1 },
    slowStart: { windowMs: 5000 },
  },
  sharded: { locality: NEAR, picker: prefixAffinity() },
};

/** What a router in one process should have counted. */
interface Counted {
  readonly process: SimProcess;
  readonly engine: RouterEngine;
  begun: number;
  readonly outcomes: Map<string, number>;
  attempts: number;
}

/**
 * What a client's router does. `plain`: the defaults. `near`: rings around it, probes, hedges, slow start. `sharded`: calls go to who
 * holds their shard by the builder's table, those of one key together.
 */
export type ChaosClientKind = 'plain' | 'near' | 'sharded';

export interface ChaosUse {
  readonly retries: number;
  readonly ejections: number;
  readonly hedges: number;
  readonly probes: number;
  /** Answers that a shard is elsewhere. */
  readonly wrongShards: number;
}

export interface ChaosClientParts {
  readonly simulation: Simulation;
  readonly store: SimStateStore;
  readonly ledger: CallLedger;
  readonly shards: ChaosShards;
  readonly onSettled: (outcome: string, attempts: number) => void;
}

export class ChaosClient {
  readonly machine: SimMachine;
  readonly kind: ChaosClientKind;
  readonly #parts: ChaosClientParts;
  #current: Counted | undefined;
  /** One for each process that ran here. */
  readonly #engines: RouterEngine[] = [];

  constructor(machine: SimMachine, kind: ChaosClientKind, parts: ChaosClientParts) {
    this.machine = machine;
    this.kind = kind;
    this.#parts = parts;
    machine.onBoot((process) => {
      const engine = this.#route(process);
      this.#engines.push(engine);
      this.#current = { process, engine, begun: 0, outcomes: new Map(), attempts: 0 };
    });
    machine.boot();
  }

  /** Nothing happens while the process is gone or the machine stands still: who could call? */
  call(isRepeatable: boolean, weight: number): void {
    const counted = this.#current;
    if (counted === undefined || !counted.process.isAlive || this.machine.isPaused) return;
    const { ledger, shards, onSettled } = this.#parts;
    const call = ledger.begin(counted.process);
    counted.begun++;
    const settle = (outcome: string, attempts: number) => {
      ledger.settle(call, attempts);
      counted.outcomes.set(outcome, (counted.outcomes.get(outcome) ?? 0) + 1);
      counted.attempts += attempts;
      onSettled(outcome, attempts);
    };
    const place = this.kind === 'sharded' ? { shard: shards.shardOf(call.id), affinity: [`key ${call.id % KEYS}`] } : undefined;
    counted.engine.call(
      { path: `/${call.id}`, method: isRepeatable ? 'GET' : 'POST', weight, ...place },
      undefined,
      ({ attempts }) => settle('ok', attempts),
      ({ code, attempts = 0 }) => settle(code, attempts),
    );
  }

  /** How often the router did what it was given to do, over all its processes. */
  used(): ChaosUse {
    const sum = (of: (engine: RouterEngine) => number) => this.#engines.reduce((total, engine) => total + of(engine), 0);
    return {
      retries: sum(({ telemetry }) => telemetry.retries),
      ejections: sum(({ telemetry }) => telemetry.ejections),
      hedges: sum(({ telemetry }) => telemetry.hedges),
      probes: sum(({ news }) => news.probes),
      wrongShards: sum(({ telemetry }) => telemetry.wrongShards),
    };
  }

  /** Once nothing is under way any more. */
  check(servers: number): void {
    const counted = this.#current;
    if (counted === undefined) return;
    const { engine, process } = counted;
    const { name } = this.machine;
    const expect = (what: string, actual: unknown, expected: unknown) => {
      const [is, was] = [JSON.stringify(actual), JSON.stringify(expected)];
      if (is !== was) this.#parts.ledger.blame(`${name}: ${what} is ${is}, not ${was}`);
    };
    const positive = (counts: Iterable<[string, number]>) => [...counts].filter(([, count]) => count > 0).sort();
    expect('calls by outcome', positive(Object.entries(engine.telemetry.outcomes())), positive(counted.outcomes));
    expect('attempts', engine.telemetry.attempts, counted.attempts);
    expect('in flight', [engine.lifecycle.inFlight, engine.waiting.size], [0, 0]);
    for (const { endpoint, counter } of engine.table.members()) {
      expect(`in flight at ${endpoint.id}`, [counter.inFlight, counter.weight], [0, 0]);
    }
    expect('endpoints known', [...engine.table.members()].length, servers);
    checkBoard(process, (problem) => this.#parts.ledger.blame(problem));
  }

  #route(process: SimProcess): RouterEngine {
    const { runtime } = process;
    const { simulation, store } = this.#parts;
    const resolve = this.kind === 'sharded' ? ribResolver : stateResolver;
    const resolved = { state: simulation.state(process, store), service: CHAOS_SERVICE, cacheFile: '/var/cache/chaos' };
    return new RouterEngine(
      {
        service: CHAOS_SERVICE,
        resolver: resolve(resolved),
        transport: simulation.calls(process),
        ...OPTIONS[this.kind],
        runtime,
        timeoutMs: CHAOS_TIMEOUT_MS,
        attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
      },
      runtime,
      new EventSource<RouterEvents>('router', runtime.diagnostics),
    );
  }
}

/** Every begin of a process at rest was ended once. */
export function checkBoard({ runtime, machine }: SimProcess, blame: (problem: string) => void): void {
  for (const key of runtime.load.keys()) {
    const { inFlight, weight } = runtime.load.counter(key).read();
    if (inFlight !== 0 || weight !== 0) blame(`${machine.name}: ${key} has ${inFlight} in flight, weight ${weight}`);
  }
}
