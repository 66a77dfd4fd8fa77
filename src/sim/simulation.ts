/**
 * A world in virtual time: machines, the network between them, chance from one seed. The code that runs in it is the production code; it
 * gets its clock, its chance and its transports from a simulated process, and cannot tell.
 *
 * When is a run repeatable? When all chance comes from the world's seed and nothing waits for the real world (thread pool, files,
 * sockets). Then two runs of one seed have one trace hash; `Simulation.trace` holds it.
 */
import { type Random, seededRandom } from '../core/random.js';
import type { BlobTransport } from '../core/transport/blob.js';
import type { QueueTransport } from '../core/transport/queue.js';
import type { StateTransport } from '../core/transport/state.js';
import { type VirtualClock, virtualClock } from '../core/virtual-clock.js';
import { type Listeners, SimCalls } from './calls.js';
import { type MachineOptions, SimMachine, type SimProcess } from './machine.js';
import { type LinkOptions, SimNetwork } from './network.js';
import { SimBlobs } from './stores/blob.js';
import { SimBlobStore, type SimBlobStoreOptions } from './stores/blob-store.js';
import { SimQueue } from './stores/queue.js';
import { SimQueueStore, type SimQueueStoreOptions } from './stores/queue-store.js';
import { SimState } from './stores/state.js';
import { SimStateStore } from './stores/state-store.js';
import { StoreClient, type StoreClientOptions } from './stores/store-client.js';
import { Trace } from './trace.js';

export interface SimulationOptions {
  /** Default 1. */
  readonly seed?: number | string;
  /** Of every link that has no setting of its own. */
  readonly link?: LinkOptions;
}

export class Simulation {
  readonly seed: number | string;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly network: SimNetwork;
  readonly trace = new Trace();
  readonly #listeners: Listeners = new Map();
  readonly #calls = new WeakMap<SimProcess, SimCalls>();
  #machines = 0;

  constructor(options: SimulationOptions = {}) {
    this.seed = options.seed ?? 1;
    this.clock = virtualClock();
    this.random = seededRandom(this.seed);
    this.network = new SimNetwork(this.random.fork('network'), options.link);
  }

  /**
   * A new machine.
   * @throws {EvenkeelError} `invalid-argument` for a name that is taken.
   */
  machine(name: string, options: MachineOptions = {}): SimMachine {
    const machine = new SimMachine(this.clock, this.random.fork(`machine ${name}`), name, this.#machines++, options);
    this.network.add(machine);
    return machine;
  }

  /** The call transport of a process. */
  calls(process: SimProcess): SimCalls {
    let calls = this.#calls.get(process);
    if (calls === undefined) {
      calls = new SimCalls(process, this.network, this.#listeners);
      this.#calls.set(process, calls);
    }
    return calls;
  }

  /** A store of documents on `machine`. Boots the machine. */
  stateStore(machine: SimMachine): SimStateStore {
    return new SimStateStore(machine, this.network, this.random.fork(`state on ${machine.name}`));
  }

  /**
   * A process's way to a store of documents. Answers take two messages; without one an operation fails after `timeoutMs` with
   * `unavailable`, retryable `unknown` when it may have written.
   */
  state(process: SimProcess, store: SimStateStore, options?: StoreClientOptions): StateTransport {
    return new SimState(new StoreClient(process, store.server, options), store);
  }

  /** A store of blobs on `machine`. Boots the machine. */
  blobStore(machine: SimMachine, options?: SimBlobStoreOptions): SimBlobStore {
    return new SimBlobStore(machine, this.network, this.random.fork(`blobs on ${machine.name}`), options);
  }

  /** A process's way to a store of blobs. A piece that is not answered spends its writer. */
  blobs(process: SimProcess, store: SimBlobStore, options?: StoreClientOptions): BlobTransport {
    return new SimBlobs(new StoreClient(process, store.server, options), store);
  }

  /** A queue on `machine`. Boots the machine. */
  queueStore(machine: SimMachine, options?: SimQueueStoreOptions): SimQueueStore {
    return new SimQueueStore(machine, this.network, this.random.fork(`queue on ${machine.name}`), options);
  }

  /** A process's way to a queue. A waiting lease outlasts the store's absence. */
  queue(process: SimProcess, store: SimQueueStore, options?: StoreClientOptions): QueueTransport {
    return new SimQueue(new StoreClient(process, store.server, options), store);
  }
}

/**
 * An empty world. Give it machines, let processes on them use `runtime` and transports as they would anywhere, and let time pass.
 *
 * The clock costs some 0.1 us an event where code is callbacks and 0.5 us where it is promises; what the code does comes on top. For
 * faults, for rules that need a fleet, and for what happens once an hour; milliseconds of a real machine are measured on one.
 *
 * @example
 * ```ts
 * import { createSimulation } from 'evenkeel/sim';
 *
 * const simulation = createSimulation({ seed: 7, link: { latencyMs: 2, loss: 0.01 } });
 * const server = simulation.machine('server');
 * server.onBoot((process) => {
 *   void simulation.calls(process).serve({ address: 'sim://server' }, () => ({ status: 200 }));
 * });
 * server.boot();
 * await simulation.clock.advance(1000);
 * ```
 * @param options.seed - All chance comes from it: one seed is one run. Default 1.
 * @param options.link - Of links without a setting of their own: 0.2 ms one way, nothing lost, nothing doubled.
 * @throws {EvenkeelError} `invalid-argument` for a link out of range.
 */
export function createSimulation(options: SimulationOptions = {}): Simulation {
  return new Simulation(options);
}
