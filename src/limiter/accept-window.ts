/**
 * Calls made and calls accepted over the last while, by criticality, and the share of the next ones to hold back.
 *
 * How does a call count that is in flight? As made and as accepted from its beginning on; a refusal takes the acceptance back when it is known.
 * Counted at their ends only, calls that wait for an overloaded server would be invisible just when it matters. Counted as made only, the first calls
 * of a slow service would look refused until the first of them has ended. And since a refusal counts in the slice in which it is heard of,
 * whenever its call began, no window is too short for the latency of the calls: both are the faults of go-zero's issue 5011.
 * @see Beyer et al., "Site Reliability Engineering", chapter 21, "Client-Side Throttling"
 */
import { CRITICALITIES } from '../core/call-context.js';

/** The window slides by a tenth of itself. */
const SLICES = 10;
const RANKS = CRITICALITIES.length;
/**
 * So many acceptances in a row, and that long without a refusal, are a server that has recovered: what it refused before says nothing any more. While
 * it is short every second call is refused, so that 20 in a row come about by chance once in a million times.
 */
const RUN = 20;
const RUN_MS = 500;

export class AcceptWindow {
  readonly #multiplier: number;
  readonly #sliceMs: number;
  /** By slice and, within it, by rank. */
  readonly #asked = new Float64Array(SLICES * RANKS);
  readonly #taken = new Float64Array(SLICES * RANKS);
  /** Sums over the slices, by rank. */
  readonly #askedInWindow = new Float64Array(RANKS);
  readonly #takenInWindow = new Float64Array(RANKS);
  /** Acceptances since the last refusal, and when that was, by rank. */
  readonly #run = new Float64Array(RANKS);
  readonly #refusedAtMs = new Float64Array(RANKS).fill(Number.NEGATIVE_INFINITY);
  #slice: number;
  #sliceEndsMs: number;

  /** @param now - Clock.now(), as in all methods; readings may be a little old. */
  constructor(windowMs: number, multiplier: number, now: number) {
    this.#multiplier = multiplier;
    this.#sliceMs = windowMs / SLICES;
    this.#slice = Math.floor(now / this.#sliceMs);
    this.#sliceEndsMs = (this.#slice + 1) * this.#sliceMs;
  }

  /** The program wants to make a call. */
  onAsked(rank: number, now: number): void {
    if (now >= this.#sliceEndsMs) this.#slide(now);
    this.#add(this.#asked, this.#askedInWindow, rank, 1);
  }

  /** It is made. */
  onSent(rank: number): void {
    this.#add(this.#taken, this.#takenInWindow, rank, 1);
  }

  /** One that was made was accepted. */
  onAccepted(rank: number, now: number): void {
    const run = (this.#run[rank] as number) + 1;
    this.#run[rank] = run;
    if (run < RUN || now - (this.#refusedAtMs[rank] as number) < RUN_MS) return;
    if (this.#refusedAtMs[rank] !== Number.NEGATIVE_INFINITY) this.#forget(rank);
  }

  /** One that was made was not accepted. */
  onRefused(rank: number, now: number): void {
    if (now >= this.#sliceEndsMs) this.#slide(now);
    this.#run[rank] = 0;
    this.#refusedAtMs[rank] = now;
    this.#add(this.#taken, this.#takenInWindow, rank, -1);
  }

  /** One that was made at `beganAt` says nothing of the server: it is taken out of where it was counted, unless that is over or forgotten. */
  onIgnored(rank: number, beganAt: number, now: number): void {
    if (now >= this.#sliceEndsMs) this.#slide(now);
    const slice = Math.floor(beganAt / this.#sliceMs);
    const index = (slice % SLICES) * RANKS + rank;
    if (slice <= this.#slice - SLICES || !((this.#asked[index] as number) > 0)) return;
    this.#asked[index] = (this.#asked[index] as number) - 1;
    this.#taken[index] = (this.#taken[index] as number) - 1;
    this.#askedInWindow[rank] = (this.#askedInWindow[rank] as number) - 1;
    this.#takenInWindow[rank] = (this.#takenInWindow[rank] as number) - 1;
  }

  /** 0 to 1: the chance with which the next call of that rank is held back. */
  rejectionOf(rank: number, now: number): number {
    if (now >= this.#sliceEndsMs) this.#slide(now);
    const asked = this.askedOf(rank);
    return Math.max(0, (asked - this.#multiplier * this.takenOf(rank)) / (asked + 1));
  }

  /** As of the last call of another method. */
  askedOf(rank: number): number {
    return this.#askedInWindow[rank] as number;
  }

  /** Refusals of calls that began before the window may be more than the calls made within it. */
  takenOf(rank: number): number {
    return Math.max(0, this.#takenInWindow[rank] as number);
  }

  #add(slices: Float64Array, sums: Float64Array, rank: number, count: number): void {
    const index = (this.#slice % SLICES) * RANKS + rank;
    slices[index] = (slices[index] as number) + count;
    sums[rank] = (sums[rank] as number) + count;
  }

  #forget(rank: number): void {
    for (let index = rank; index < SLICES * RANKS; index += RANKS) {
      this.#asked[index] = 0;
      this.#taken[index] = 0;
    }
    this.#askedInWindow[rank] = 0;
    this.#takenInWindow[rank] = 0;
    this.#refusedAtMs[rank] = Number.NEGATIVE_INFINITY;
  }

  #slide(now: number): void {
    const target = Math.floor(now / this.#sliceMs);
    for (let slice = Math.max(this.#slice + 1, target - SLICES + 1); slice <= target; slice++) {
      for (let rank = 0; rank < RANKS; rank++) {
        const index = (slice % SLICES) * RANKS + rank;
        this.#askedInWindow[rank] = (this.#askedInWindow[rank] as number) - (this.#asked[index] as number);
        this.#takenInWindow[rank] = (this.#takenInWindow[rank] as number) - (this.#taken[index] as number);
        this.#asked[index] = 0;
        this.#taken[index] = 0;
      }
    }
    this.#slice = target;
    this.#sliceEndsMs = (target + 1) * this.#sliceMs;
  }
}
