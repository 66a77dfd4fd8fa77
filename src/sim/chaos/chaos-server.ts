/** A server in the chaos: announced, reporting its load, working on processors that others may take. */
import { announce } from '../../core/announce.js';
import type { Random } from '../../core/random.js';
import type { IncomingCall } from '../../core/transport/call.js';
import { createLoadReporter } from '../../router/load-reporter.js';
import { requestedShard, wrongShardAnswer } from '../../router/routes/wrong-shard.js';
import { exponential } from '../distributions.js';
import type { SimMachine, SimProcess } from '../machine.js';
import type { Antagonist, Processor } from '../processor.js';
import { ProcessorSharing } from '../processor-sharing.js';
import type { Simulation } from '../simulation.js';
import type { SimStateStore } from '../stores/state-store.js';
import type { CallLedger } from './call-ledger.js';
import type { ChaosShards } from './chaos-shards.js';
import type { Slowable } from './faults.js';

export const CHAOS_SERVICE = 'chaos';
const SLOTS = 4;
const WORK_MS = 15;
const LEASE_MS = 3000;
/** Of all answers. */
const ERROR_SHARE = 0.02;

export class ChaosServer implements Slowable {
  readonly machine: SimMachine;
  readonly #simulation: Simulation;
  readonly #store: SimStateStore;
  readonly #ledger: CallLedger;
  readonly #shards: ChaosShards;
  readonly #locality: string;
  readonly #random: Random;
  #processor: ProcessorSharing | undefined;
  #formerCpuMs = 0;
  readonly #others: Antagonist & { share: number } = { share: 0, onChange: undefined };

  constructor(
    simulation: Simulation,
    machine: SimMachine,
    store: SimStateStore,
    ledger: CallLedger,
    shards: ChaosShards,
    locality: string,
  ) {
    this.machine = machine;
    this.#simulation = simulation;
    this.#store = store;
    this.#ledger = ledger;
    this.#shards = shards;
    this.#locality = locality;
    this.#random = simulation.random.fork(`work of ${machine.name}`);
    machine.onBoot((process) => this.#start(process));
    machine.boot();
  }

  /** Of all processes that ran here. */
  get processor(): Pick<Processor, 'cpuMs'> {
    return { cpuMs: this.#formerCpuMs + (this.#processor?.cpuMs ?? 0) };
  }

  slow(share: number): void {
    this.#others.share = share;
    this.#others.onChange?.();
  }

  #start(process: SimProcess): void {
    const { runtime } = process;
    const { name } = this.machine;
    const reporter = createLoadReporter({ runtime, capacity: SLOTS });
    this.#formerCpuMs = this.processor.cpuMs;
    const processor = new ProcessorSharing(this.machine.world, { slots: SLOTS, antagonist: this.#others });
    this.#processor = processor;
    const work = exponential(WORK_MS);
    const handler = reporter.calls(async (call) => {
      const asked = requestedShard(call.headers);
      if (asked !== undefined && !this.#shards.holds(name, asked.shard)) return wrongShardAnswer(this.#shards.version);
      this.#ledger.served(callOf(call.path), isRepeatable(call));
      const fails = this.#random.next() < ERROR_SHARE;
      await new Promise<void>((resolve) => processor.start(work(this.#random), () => process.enter(resolve)));
      return { status: fails ? 500 : 200 };
    });
    const address = `sim://${name}`;
    const endpoint = { id: name, address, locality: this.#locality };
    const state = this.#simulation.state(process, this.#store);
    void this.#simulation.calls(process).serve({ address }, handler);
    announce({ state, service: CHAOS_SERVICE, endpoint, runtime, leaseMs: LEASE_MS, load: () => reporter.report() });
  }
}

/** The call's number; NaN for what is no call of the ledger: a probe. */
export function callOf(path: string): number {
  return Number(path.slice(1));
}

function isRepeatable({ method }: IncomingCall): boolean {
  return method === 'GET';
}
