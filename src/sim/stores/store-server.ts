/**
 * The machine that a store runs on, as its clients' requests find it.
 *
 * What does a crash of it take? What it has open: requests in flight, waiting leases, unfinished blobs, watches. What is stored is as
 * durable as the store says. A request is an operation of its process when it arrives and another when it is answered, so a crash
 * can come between the effect and the answer.
 */
import type { SimMachine } from '../machine.js';
import type { SimNetwork } from '../network.js';

export class StoreServer {
  readonly machine: SimMachine;
  readonly network: SimNetwork;
  readonly #open = new Set<() => void>();

  /** @param onCrash - What the crash does to what is stored. */
  constructor(machine: SimMachine, network: SimNetwork, onCrash?: () => void) {
    this.machine = machine;
    this.network = network;
    machine.onBoot((process) => {
      process.onKill(() => {
        for (const end of this.#open) end();
        this.#open.clear();
        onCrash?.();
      });
    });
    if (!machine.isUp) machine.boot();
  }

  /** Remembers how something ends with the process that runs. @returns Forgets it; false when it has ended. */
  hold(end: () => void): () => boolean {
    this.#open.add(end);
    return () => this.#open.delete(end);
  }
}
