/** Whose state has not been proven for too long: the knobs' as a whole, and each one's whose policy then begins. */
import type { KnobDefinition } from './definition.js';
import type { Registry } from './registry.js';

export class Staleness {
  readonly #maxMs: number;
  readonly #registry: Registry;
  #lost = 0;
  isStale = false;

  /** @param maxMs - Where a definition says nothing. */
  constructor(maxMs: number, registry: Registry) {
    this.#maxMs = maxMs;
    this.#registry = registry;
  }

  /** The policy of that knob is in force. */
  isLost({ maxStalenessMs, onStale }: KnobDefinition, forMs: number): boolean {
    return onStale !== 'hold' && forMs > (maxStalenessMs ?? this.#maxMs);
  }

  /** `forMs`: without proof. Says what is other than before: `isStale` itself, and whether the policy of some knob begins or ends. */
  judge(forMs: number): { isTurned: boolean; isOther: boolean } {
    const isTurned = forMs > this.#maxMs !== this.isStale;
    if (isTurned) this.isStale = !this.isStale;
    let lost = 0;
    for (const { definition } of this.#registry) if (this.isLost(definition, forMs)) lost++;
    const isOther = lost !== this.#lost;
    this.#lost = lost;
    return { isTurned, isOther };
  }
}
