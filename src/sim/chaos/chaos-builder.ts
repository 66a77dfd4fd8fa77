/** Builders of the table that tells callers where the servers and the shards are. */
import type { Runtime } from '../../core/runtime.js';
import { createRibBuilder } from '../../router/rib/rib-builder.js';
import { encodeShardMap, shardMapKey } from '../../router/rib/shard-map.js';
import type { SimMachine } from '../machine.js';
import type { Simulation } from '../simulation.js';
import type { SimStateStore } from '../stores/state-store.js';
import { CHAOS_SERVICE } from './chaos-server.js';
import type { ChaosShards } from './chaos-shards.js';

const MOVE_EVERY_MS = 10_000;
const PUBLISH_EVERY_MS = 2000;
/** Less often than by default: an hour has to be cheap. */
const PLAN_EVERY_MS = 10_000;

/** One of those who contend to build the table; each also publishes the map, and the one that `moves` changes it. */
export class ChaosBuilder {
  readonly machine: SimMachine;
  #isMoving: boolean;

  constructor(simulation: Simulation, machine: SimMachine, store: SimStateStore, shards: ChaosShards, moves: boolean) {
    this.machine = machine;
    this.#isMoving = moves;
    machine.onBoot((process) => {
      const { runtime } = process;
      const state = simulation.state(process, store);
      createRibBuilder({ state, runtime, loadIntervalMs: PLAN_EVERY_MS });
      const publish = (published: number): void => {
        const { version } = shards;
        const done =
          version === published ? Promise.resolve() : state.put(shardMapKey(CHAOS_SERVICE), encodeShardMap(shards.map()));
        // The store may be away: then again.
        const next = (to: number) => runtime.clock.timer(PUBLISH_EVERY_MS, () => publish(to));
        done.then(
          () => next(version),
          () => next(published),
        );
      };
      publish(0);
      this.#move(runtime, shards);
    });
    machine.boot();
  }

  /** No more moves. */
  stop(): void {
    this.#isMoving = false;
  }

  #move(runtime: Runtime, shards: ChaosShards): void {
    runtime.clock.timer(MOVE_EVERY_MS, () => {
      if (!this.#isMoving) return;
      shards.move();
      this.#move(runtime, shards);
    });
  }
}
