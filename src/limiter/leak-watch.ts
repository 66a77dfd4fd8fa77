/**
 * Finds permits that were dropped without an end, for development: the garbage collector tells. Their weight comes back, and the operator is
 * told where to look. Costs some microseconds a permit, so production does without.
 */

/** What is left of a permit that nobody holds any more. It must not hold the permit itself. */
export class Leak {
  /** As of now. */
  weight: number;
  readonly #giveBack: (weight: number) => void;

  constructor(weight: number, giveBack: (weight: number) => void) {
    this.weight = weight;
    this.#giveBack = giveBack;
  }

  giveBack(): void {
    this.#giveBack(this.weight);
  }
}

export class LeakWatch {
  readonly #registry: FinalizationRegistry<Leak>;
  found = 0;

  constructor(onLeak: () => void) {
    this.#registry = new FinalizationRegistry((leak) => {
      this.found++;
      leak.giveBack();
      onLeak();
    });
  }

  watch(permit: object, leak: Leak): void {
    this.#registry.register(permit, leak, permit);
  }

  readonly onEnd = (permit: object): void => {
    this.#registry.unregister(permit);
  };
}
