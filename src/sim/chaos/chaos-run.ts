/**
 * Production routers, announcements and load reporters in a world where something is always broken. No call may be lost, and none
 * counted twice; when all is well again, every call is answered again.
 */
import { exponential } from '../distributions.js';
import { type FleetUse, UtilizationMeter } from '../fleet/utilization.js';
import { createSimulation } from '../simulation.js';
import { CallLedger } from './call-ledger.js';
import { ChaosBuilder } from './chaos-builder.js';
import { CHAOS_TIMEOUT_MS, ChaosClient, type ChaosClientKind, type ChaosUse, checkBoard } from './chaos-client.js';
import { ChaosServer, callOf } from './chaos-server.js';
import { ChaosShards } from './chaos-shards.js';
import { Faults } from './faults.js';
import { Pauses } from './pauses.js';

export interface ChaosOptions {
  readonly seed: number | string;
  /** Simulated. Default one hour. */
  readonly durationMs?: number;
  /** Default 6. */
  readonly callsPerSecond?: number;
  /** Between two faults, on average. Default 8,000 ms. */
  readonly faultEveryMs?: number;
}

export interface ChaosResult {
  readonly seed: number | string;
  readonly hash: string;
  readonly events: number;
  readonly calls: number;
  /** Of calls that were settled. */
  readonly attempts: number;
  /** Calls settled, by outcome. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** Of each kind of client: how often its routers did what they are there for. */
  readonly used: Readonly<Record<ChaosClientKind, ChaosUse>>;
  /** Of each simulated minute: calls settled, those of them that failed, and faults that began. */
  readonly minutes: readonly { readonly settled: number; readonly failed: number; readonly faults: number }[];
  /** How much of the servers was used, minute by minute. */
  readonly use: FleetUse;
  readonly tails: readonly number[];
  /** What should not have happened; empty when all is well. */
  readonly problems: readonly string[];
}

const SERVERS = 6;
const CLIENTS: readonly ChaosClientKind[] = ['plain', 'near', 'sharded'];
/** For what is under way when the last fault has come: it heals, leases run out, the wheel turns. */
const QUIET_MS = 120_000;
const LAST_CALLS = 20;
const MINUTE_MS = 60_000;
const END = 1;
const FAULT = 2;

/**
 * Six servers in two regions, three clients that use the router each in another way, two builders of its tables and a store, for an hour
 * in which a fault begins every eight seconds on average; then all heals.
 * @returns `problems` says what was lost, late or counted twice.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { durationMs = 3_600_000, callsPerSecond = 6, faultEveryMs = 8000 } = options;
  const simulation = createSimulation({ seed: options.seed, link: { latencyMs: 0.5 } });
  const { clock, trace, random } = simulation;
  const rates = random.fork('rates');
  const machine = (name: string) => simulation.machine(name, { clockRate: 1 + 0.002 * (rates.next() - 0.5) });
  const pauses = new Pauses();
  const ledger = new CallLedger(CHAOS_TIMEOUT_MS, pauses);
  simulation.network.onDuplicate = (path) => ledger.doubled(callOf(path));
  const store = simulation.stateStore(machine('store'));
  const names = Array.from({ length: SERVERS }, (_, i) => `server-${i}`);
  const shards = new ChaosShards(names, random.fork('shards'));
  const servers = names.map((name, i) => {
    const locality = i < SERVERS / 2 ? 'eu/west/a' : 'us/east/a';
    return new ChaosServer(simulation, machine(name), store, ledger, shards, locality);
  });
  const builders = [0, 1].map((i) => new ChaosBuilder(simulation, machine(`builder-${i}`), store, shards, i === 0));
  const outcomes: Record<string, number> = {};
  const minutes: { settled: number; failed: number; faults: number }[] = [];
  const minuteAt = (ms: number) => {
    const index = Math.floor(ms / MINUTE_MS);
    while (minutes.length <= index) minutes.push({ settled: 0, failed: 0, faults: 0 });
    return minutes[index] as { settled: number; failed: number; faults: number };
  };
  const clients = CLIENTS.map((kind, i) => {
    const onSettled = (outcome: string, attempts: number) => {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      trace.noteText(END, clock.now(), `${i} ${outcome} ${attempts}`);
      const minute = minuteAt(clock.now());
      minute.settled++;
      if (outcome !== 'ok') minute.failed++;
    };
    return new ChaosClient(machine(`client-${i}`), kind, { simulation, store, ledger, shards, onSettled });
  });
  await clock.advance(1000);
  const faults = new Faults({
    simulation,
    machines: [...simulation.network.machines()],
    slowable: servers,
    pauses,
    everyMs: faultEveryMs,
    note: (kind, name) => {
      trace.noteText(FAULT, clock.now(), `${kind} ${name}`);
      minuteAt(clock.now()).faults++;
    },
  });
  const arrivals = random.fork('arrivals');
  const gap = exponential(1000 / callsPerSecond);
  const until = clock.now() + durationMs;
  const arrive = () => {
    if (clock.now() >= until) return;
    clock.timer(gap(arrivals), arrive);
    (clients[arrivals.int(CLIENTS.length)] as ChaosClient).call(arrivals.next() < 0.7, 1 + arrivals.int(5));
  };
  clock.timer(gap(arrivals), arrive);
  const meter = new UtilizationMeter(clock, servers, MINUTE_MS);
  meter.start();
  await clock.advance(durationMs);
  const use = meter.stop();
  faults.stop();
  for (const builder of builders) builder.stop();
  await clock.advance(QUIET_MS);
  const failed = () => Object.entries(outcomes).reduce((sum, [outcome, count]) => sum + (outcome === 'ok' ? 0 : count), 0);
  const before = { failed: failed(), settled: ledger.settled };
  for (let i = 0; i < LAST_CALLS; i++) {
    for (const client of clients) client.call(true, 1);
    await clock.advance(1000);
  }
  if (failed() > before.failed) ledger.blame(`${failed() - before.failed} calls failed after all was well again`);
  if (ledger.settled - before.settled !== LAST_CALLS * CLIENTS.length)
    ledger.blame('a client does not call after all was well again');
  ledger.close();
  for (const client of clients) client.check(SERVERS);
  for (const server of servers) checkBoard(server.machine.process, (problem) => ledger.blame(problem));
  return {
    seed: options.seed,
    hash: trace.hash,
    events: trace.events,
    calls: ledger.begun,
    attempts: ledger.attempts,
    outcomes,
    faults: faults.counts,
    used: Object.fromEntries(clients.map((client) => [client.kind, client.used()])) as Record<ChaosClientKind, ChaosUse>,
    minutes,
    use,
    tails: meter.tails,
    problems: ledger.problems,
  };
}
