/**
 * What all checks read: one byte a knob, 0 for off, else the dose.
 *
 * `live` is written in place: whoever asks gets the present value. A request that wants one and the same answer from beginning to end holds a
 * {@link KnobState}, which is made anew by each change and never written again.
 */

/** Knobs a process may define. */
export const MAX_KNOBS = 16_384;
const CHUNK = 256;

/** The bytes and counters of 256 knobs: knobs hold theirs, and the table grows without moving any. */
export interface KnobChunk {
  readonly live: Uint8Array;
  /** Checks, modulo 2^32. */
  readonly hits: Uint32Array;
}

/** Who, of all requests, gets another dose than the process's. */
export interface KnobRule {
  readonly dose: number;
  /** Share of the requests, by hash of their keys. */
  readonly requests: number;
  /** One bit each for the 128 cohorts; undefined: none. */
  readonly cohorts: Uint8Array | undefined;
  /** Drawn by the flip, so that the same users are not always the first. */
  readonly salt: number;
}

/** All knobs at one revision; not written again. */
export interface KnobState {
  readonly doses: Uint8Array;
  /** By index; undefined: no knob has any. */
  readonly rules: readonly (KnobRule | undefined)[] | undefined;
}

export class KnobTable {
  readonly #chunks: KnobChunk[] = [];
  #size = 0;
  state: KnobState = { doses: new Uint8Array(0), rules: undefined };

  get size(): number {
    return this.#size;
  }

  /** Makes room for one more, off. Returns its index. */
  add(): number {
    if (this.#size % CHUNK === 0) this.#chunks.push({ live: new Uint8Array(CHUNK), hits: new Uint32Array(CHUNK) });
    return this.#size++;
  }

  chunkOf(index: number): KnobChunk {
    return this.#chunks[Math.floor(index / CHUNK)] as KnobChunk;
  }

  /** Where a knob stands in its chunk. */
  static slotOf(index: number): number {
    return index % CHUNK;
  }

  doseOf(index: number): number {
    return this.chunkOf(index).live[KnobTable.slotOf(index)] as number;
  }

  hitsOf(index: number): number {
    return this.chunkOf(index).hits[KnobTable.slotOf(index)] as number;
  }

  /** From now on these hold, one dose for each knob. Returns the indexes of those that changed. */
  apply(state: KnobState): number[] {
    const changed: number[] = [];
    for (let index = 0; index < this.#size; index++) {
      const { live } = this.chunkOf(index);
      const slot = KnobTable.slotOf(index);
      const dose = state.doses[index] as number;
      if (live[slot] === dose) continue;
      live[slot] = dose;
      changed.push(index);
    }
    this.state = state;
    return changed;
  }
}
