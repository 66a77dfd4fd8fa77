/**
 * One direction of a connection between two machines: what is sent arrives in order, and after something that is lost nothing does.
 * Who waits for an answer finds out by its own timeouts.
 */
import type { SimMachine } from '../machine.js';
import { LOST, type SimNetwork } from '../network.js';

export class Wire {
  readonly #network: SimNetwork;
  readonly #from: SimMachine;
  readonly #to: SimMachine;
  /** When the message sent last arrives. */
  #lastMs = 0;

  constructor(network: SimNetwork, from: SimMachine, to: SimMachine) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
  }

  /** `arrive` runs on the other machine, or never. */
  send(arrive: () => void): void {
    const { world } = this.#from;
    const now = world.now();
    this.#lastMs = Math.max(this.#lastMs, now + this.#network.transit(this.#from, this.#to));
    if (this.#lastMs !== LOST) world.timer(this.#lastMs - now, () => this.#to.enter(arrive));
  }
}
