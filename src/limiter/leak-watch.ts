/**
 * Finds permits that were dropped without an end, for development: the garbage collector tells. Their weight comes back, and the operator is
 * told where to look. Costs some microseconds a permit, so production does without.
 */
import type { GatePermit } from './permit.js';

interface Leak {
  readonly giveBack: () => void;
}

export class LeakWatch {
  readonly #registry: FinalizationRegistry<Leak>;
  found = 0;

  constructor(onLeak: () => void) {
    this.#registry = new FinalizationRegistry(({ giveBack }) => {
      this.found++;
      giveBack();
      onLeak();
    });
  }

  /** `giveBack` must not hold the permit. */
  watch(permit: GatePermit, giveBack: () => void): void {
    this.#registry.register(permit, { giveBack }, permit);
  }

  readonly onEnd = (permit: GatePermit): void => {
    this.#registry.unregister(permit);
  };
}
