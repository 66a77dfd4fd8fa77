/**
 * What a unit of work costs at one endpoint, as its reports tell: of each kind of call (its model) that we send there, and of any. With
 * the mean of our calls in flight there, kept as a sum, so that a pick need not look at each.
 */

/** Kinds whose cost is remembered; with more of them all are learned anew. */
const MAX_KINDS = 64;
/** What any kind costs follows by so much of each report of one kind. */
const KIND_SHARE = 0.1;

export class UnitCosts {
  /** Milliseconds of the whole server for a unit of work of any kind; 0: it does not tell. */
  anyMs = 0;
  readonly #msOf = new Map<string, number>();
  /** Those of our calls in flight whose kind has a cost of its own: how many, and what a unit of each adds up to. */
  #ownKnown = 0;
  #ownKnownMs = 0;

  of(kind: string | undefined): number {
    return (kind === undefined ? undefined : this.#msOf.get(kind)) ?? this.anyMs;
  }

  /** The mean of our calls there. @param own - How many there are, of any kind. */
  meanOf(own: number): number {
    return this.#ownKnown === 0 ? this.anyMs : (this.#ownKnownMs + (own - this.#ownKnown) * this.anyMs) / own;
  }

  /** The endpoint tells a cost. @param own - Our calls of that kind in flight there. */
  note(kind: string | undefined, ms: number, own: number): void {
    if (kind === undefined || this.anyMs === 0) this.anyMs = ms;
    if (kind === undefined) return;
    if (this.#msOf.size >= MAX_KINDS && !this.#msOf.has(kind)) {
      this.#msOf.clear();
      this.#ownKnown = 0;
      this.#ownKnownMs = 0;
    }
    const before = this.#msOf.get(kind);
    if (before === undefined) this.#ownKnown += own;
    this.#ownKnownMs += own * (ms - (before ?? 0));
    this.#msOf.set(kind, ms);
    this.anyMs += (ms - this.anyMs) * KIND_SHARE;
  }

  /** A call of ours of that kind has begun there, or ended. */
  count(kind: string, difference: 1 | -1): void {
    const ms = this.#msOf.get(kind);
    if (ms === undefined) return;
    this.#ownKnown += difference;
    this.#ownKnownMs = this.#ownKnown === 0 ? 0 : this.#ownKnownMs + difference * ms;
  }
}
