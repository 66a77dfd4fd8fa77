/**
 * What a router knows of its endpoints taken together: what the average one is like, for want of better news of a certain one, and how
 * much of the work there is not ours.
 */

/** A report counts for this much of the means: they cover the last hundred or so. */
const SHARE = 0.01;
/** A report counts as no more than so many times the mean. */
const MOST_TIMES = 10;
/** With more callers than this there is nothing to learn from our own share of the work. */
const MAX_OTHERS_PER_OWN = 100;

export class FleetView {
  /** Means over the reports that tell of costs; 0: none does. Milliseconds of a whole server, see `Candidate.unitMs`. */
  unitMs = 0;
  othersMs = 0;
  /** Mean time of an answer, per unit of weight; 0 before the first. */
  latencyMs = 0;
  /** How much work of other callers there is at an endpoint for each piece of our own. */
  othersPerOwn = 0;
  /** Work of this router in flight, and how many endpoints share it. */
  ownInFlight = 0;
  endpoints = 1;
  #others = 0;
  #own = 0;
  #reports = 0;
  #answers = 0;

  /** An answer came after `ms`, per unit of weight. */
  noteLatency(ms: number): void {
    this.latencyMs += (ms - this.latencyMs) * Math.max(SHARE, 1 / ++this.#answers);
  }

  /** An endpoint told that a unit of work costs `unitMs`, and that others wait there for `othersMs` of it. */
  note(toldUnitMs: number, toldOthersMs: number): void {
    // One server that tells tales must not move what is believed of all.
    const unitMs =
      this.unitMs === 0 ? toldUnitMs : Math.min(MOST_TIMES * this.unitMs, Math.max(this.unitMs / MOST_TIMES, toldUnitMs));
    const othersMs = Math.min(toldOthersMs, MOST_TIMES * (this.othersMs + 10 * unitMs));
    const share = Math.max(SHARE, 1 / ++this.#reports);
    this.unitMs += (unitMs - this.unitMs) * share;
    this.othersMs += (othersMs - this.othersMs) * share;
    this.#others += (othersMs / unitMs - this.#others) * share;
    this.#own += (this.ownInFlight / this.endpoints - this.#own) * share;
    this.othersPerOwn = this.#own > 0 ? Math.min(MAX_OTHERS_PER_OWN, this.#others / this.#own) : 0;
  }
}
