/** Documents on a simulated machine. A put is durable when it is answered: a crash takes no document. */
import type { Random } from '../../core/random.js';
import type { StateEvent, StateTransport } from '../../core/transport/state.js';
import { createMemoryState } from '../../transports/memory/state.js';
import { type MemoryStateStore, memoryStateStore } from '../../transports/memory/state-store.js';
import type { SimMachine } from '../machine.js';
import type { SimNetwork } from '../network.js';
import type { StoreClient } from './store-client.js';
import { StoreServer } from './store-server.js';

export class SimStateStore {
  readonly server: StoreServer;
  /** At the store itself: for tests that look. */
  readonly local: StateTransport;
  readonly documents: MemoryStateStore;

  constructor(machine: SimMachine, network: SimNetwork, random: Random) {
    this.documents = memoryStateStore({ random });
    this.local = createMemoryState({ clock: machine.clock, store: this.documents });
    this.server = new StoreServer(machine, network);
  }
}

/** What a store tells a client that follows it. */
export interface FollowerEvents {
  onEvent(event: StateEvent): void;
  /** What has been told is the newest that there was when the proof was asked for. */
  onProof(askedAtMs: number, revision: number): void;
  onLost(): void;
}

/** A client that follows all changes, over one connection. It asks for proofs; a store that hears of no more asking ends it. */
export class Following {
  readonly #client: StoreClient;
  readonly #store: SimStateStore;
  readonly #events: FollowerEvents;
  readonly #up;
  readonly #down;
  /** At the store: ends it there. */
  #end: (() => void) | undefined;
  #heardAtMs = 0;

  constructor(client: StoreClient, store: SimStateStore, events: FollowerEvents) {
    this.#client = client;
    this.#store = store;
    this.#events = events;
    this.#up = client.wire();
    this.#down = client.wireBack();
    this.#toStore(() => this.#open());
  }

  ask(): void {
    const askedAtMs = this.#client.process.runtime.clock.now();
    this.#toStore(() => {
      if (this.#end === undefined) return;
      this.#heardAtMs = this.#store.server.machine.clock.now();
      // After what the store's own watch has still to tell of.
      queueMicrotask(() => {
        if (this.#end !== undefined) this.#tell(() => this.#events.onProof(askedAtMs, this.#store.documents.revision));
      });
    });
  }

  /** By a closing client, or by the machine of a dead one. */
  close(): void {
    this.#up.send(() => this.#end?.());
  }

  #open(): void {
    const { local, server } = this.#store;
    const { clock, isUp } = server.machine;
    if (!isUp) {
      this.#down.send(() => this.#client.process.enter(() => this.#events.onLost()));
      return;
    }
    const watch = local.watch('', (event) => {
      // The store's own proofs say nothing of the way to the client.
      if (event.type !== 'head') this.#tell(() => this.#events.onEvent(event));
    });
    this.#heardAtMs = clock.now();
    const end = () => {
      this.#end = undefined;
      forget();
      watch.close();
    };
    const forget = server.hold(() => {
      end();
      this.#down.send(() => this.#client.process.enter(() => this.#events.onLost()));
    });
    this.#end = end;
    const look = () => {
      if (this.#end === undefined) return;
      if (clock.now() - this.#heardAtMs > SILENCE_MS) end();
      else clock.timer(SILENCE_MS, look);
    };
    clock.timer(SILENCE_MS, look);
  }

  #toStore(arrive: () => void): void {
    this.#client.process.operate(() =>
      this.#up.send(() => {
        const { machine } = this.#store.server;
        if (machine.isUp) machine.process.operate(arrive);
        else arrive();
      }),
    );
  }

  #tell(arrive: () => void): void {
    const { process } = this.#client;
    this.#store.server.machine.process.operate(() => this.#down.send(() => process.enter(arrive)));
  }
}

const SILENCE_MS = 10_000;
