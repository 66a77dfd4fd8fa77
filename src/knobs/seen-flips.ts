/** Since when this instance has known each flip, on its own clock: what the ends of flips are counted from. */
import type { Flip, KnobSnapshot } from './snapshot.js';

export class SeenFlips {
  readonly #sinceMs = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#sinceMs.size === 0;
  }

  /** Notes those it has not seen, and forgets those that are no more. */
  take({ knobs, levels }: KnobSnapshot, nowMs: number): void {
    const present = new Set<string>();
    for (const { id } of [...levels, ...knobs]) {
      present.add(id);
      if (!this.#sinceMs.has(id)) this.#sinceMs.set(id, nowMs);
    }
    for (const id of this.#sinceMs.keys()) if (!present.has(id)) this.#sinceMs.delete(id);
  }

  elapsedMs({ id }: Flip, nowMs: number): number {
    return nowMs - (this.#sinceMs.get(id) ?? nowMs);
  }

  /** For the copy on disk. */
  elapsed(nowMs: number): Record<string, number> {
    return Object.fromEntries([...this.#sinceMs].map(([id, sinceMs]) => [id, nowMs - sinceMs]));
  }

  /** From the copy on disk, of a process that ended `agoMs` ago. Values that are no times are left out. */
  restore(elapsed: Readonly<Record<string, unknown>> | undefined, agoMs: number, nowMs: number): void {
    for (const [id, ms] of Object.entries(elapsed ?? {})) {
      if (typeof ms === 'number' && ms >= 0 && Number.isFinite(ms)) this.#sinceMs.set(id, nowMs - ms - Math.max(0, agoMs));
    }
  }
}
