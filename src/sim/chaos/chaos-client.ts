/** A client in the chaos: a production router that learns of the servers from the store, and what its counters must add up to. */
import { EventSource } from '../../core/events.js';
import { stateResolver } from '../../core/resolver-state.js';
import { RouterEngine } from '../../router/engine.js';
import type { RouterEvents } from '../../router/events.js';
import type { SimMachine, SimProcess } from '../machine.js';
import type { Simulation } from '../simulation.js';
import type { SimStateStore } from '../stores/state-store.js';
import type { CallLedger } from './call-ledger.js';
import { CHAOS_SERVICE } from './chaos-server.js';

export const CHAOS_TIMEOUT_MS = 2000;
const ATTEMPT_TIMEOUT_MS = 700;

/** What a router in one process should have counted. */
interface Counted {
  readonly process: SimProcess;
  readonly engine: RouterEngine;
  begun: number;
  readonly outcomes: Map<string, number>;
  attempts: number;
}

export class ChaosClient {
  readonly machine: SimMachine;
  readonly #simulation: Simulation;
  readonly #store: SimStateStore;
  readonly #ledger: CallLedger;
  readonly #onSettled: (client: ChaosClient, outcome: string, attempts: number) => void;
  #current: Counted | undefined;

  constructor(
    simulation: Simulation,
    machine: SimMachine,
    store: SimStateStore,
    ledger: CallLedger,
    onSettled: (client: ChaosClient, outcome: string, attempts: number) => void,
  ) {
    this.machine = machine;
    this.#simulation = simulation;
    this.#store = store;
    this.#ledger = ledger;
    this.#onSettled = onSettled;
    machine.onBoot((process) => {
      this.#current = { process, engine: this.#route(process), begun: 0, outcomes: new Map(), attempts: 0 };
    });
    machine.boot();
  }

  /** Nothing happens while the process is gone or the machine stands still: who could call? */
  call(isRepeatable: boolean, weight: number): void {
    const counted = this.#current;
    if (counted === undefined || !counted.process.isAlive || this.machine.isPaused) return;
    const call = this.#ledger.begin(counted.process);
    counted.begun++;
    const settle = (outcome: string, attempts: number) => {
      this.#ledger.settle(call, attempts);
      counted.outcomes.set(outcome, (counted.outcomes.get(outcome) ?? 0) + 1);
      counted.attempts += attempts;
      this.#onSettled(this, outcome, attempts);
    };
    counted.engine.call(
      { path: `/${call.id}`, method: isRepeatable ? 'GET' : 'POST', weight },
      undefined,
      ({ attempts }) => settle('ok', attempts),
      ({ code, attempts = 0 }) => settle(code, attempts),
    );
  }

  /** Once nothing is under way any more. */
  check(servers: number): void {
    const counted = this.#current;
    if (counted === undefined) return;
    const { engine, process } = counted;
    const { name } = this.machine;
    const expect = (what: string, actual: unknown, expected: unknown) => {
      const [is, was] = [JSON.stringify(actual), JSON.stringify(expected)];
      if (is !== was) this.#ledger.blame(`${name}: ${what} is ${is}, not ${was}`);
    };
    const positive = (counts: Iterable<[string, number]>) => [...counts].filter(([, count]) => count > 0).sort();
    expect('calls by outcome', positive(Object.entries(engine.telemetry.outcomes())), positive(counted.outcomes));
    expect('attempts', engine.telemetry.attempts, counted.attempts);
    expect('in flight', [engine.lifecycle.inFlight, engine.waiting.size], [0, 0]);
    for (const { endpoint, counter } of engine.table.members()) {
      expect(`in flight at ${endpoint.id}`, [counter.inFlight, counter.weight], [0, 0]);
    }
    expect('endpoints known', [...engine.table.members()].length, servers);
    checkBoard(process, (problem) => this.#ledger.blame(problem));
  }

  #route(process: SimProcess): RouterEngine {
    const { runtime } = process;
    return new RouterEngine(
      {
        service: CHAOS_SERVICE,
        resolver: stateResolver({
          state: this.#simulation.state(process, this.#store),
          service: CHAOS_SERVICE,
          cacheFile: '/var/cache/chaos.json',
        }),
        transport: this.#simulation.calls(process),
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
