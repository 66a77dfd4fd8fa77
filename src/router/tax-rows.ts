/** What is known of the attempts that have something in common: a method, a locality, how busy their servers were. */
import { type Percentiles, TaxHistogram } from './tax-histogram.js';
import { PARTS, type TaxPart } from './tax-parts.js';

/** Plain JSON. Times in milliseconds, sizes in bytes. */
export interface TaxRow {
  readonly name: string;
  readonly attempts: number;
  /** Of them, those whose server told its times. */
  readonly told: number;
  readonly totalMs: Percentiles;
  /** Their means add up to the mean of the total; percentiles do not. */
  readonly parts: Readonly<Record<TaxPart, Percentiles>>;
  /** 1 - application / total, over the attempts whose server told; null: none did. */
  readonly tax: number | null;
  /** Tax time x calls: what there is to win, in milliseconds over the whole of the report. */
  readonly taxMs: number;
  readonly requestBytes: Percentiles;
  readonly responseBytes: Percentiles;
  /** Bytes of the response over those of the request, where it had any. */
  readonly bytesRatio: Percentiles;
  /** Calls the servers made for these, where they tell. */
  readonly descendants: Percentiles;
  readonly depth: Percentiles;
}

/** One attempt, as it is added to the rows it belongs to. One object for all, filled anew. */
export interface TaxSample {
  totalMs: number;
  readonly parts: Float64Array;
  isTold: boolean;
  requestBytes: number;
  responseBytes: number;
  descendants: number | undefined;
  depth: number;
}

const APPLICATION = PARTS.indexOf('application');

export class TaxRowBuilder {
  readonly #total = new TaxHistogram();
  readonly #parts = PARTS.map(() => new TaxHistogram());
  readonly #requestBytes = new TaxHistogram();
  readonly #responseBytes = new TaxHistogram();
  readonly #bytesRatio = new TaxHistogram();
  readonly #descendants = new TaxHistogram();
  readonly #depth = new TaxHistogram();
  #told = 0;
  #toldMs = 0;
  #applicationMs = 0;

  add(sample: TaxSample): void {
    this.#total.add(sample.totalMs);
    for (let part = 0; part < PARTS.length; part++) (this.#parts[part] as TaxHistogram).add(sample.parts[part] as number);
    if (sample.isTold) {
      this.#told++;
      this.#toldMs += sample.totalMs;
      this.#applicationMs += sample.parts[APPLICATION] as number;
    }
    this.#requestBytes.add(sample.requestBytes);
    this.#responseBytes.add(sample.responseBytes);
    if (sample.requestBytes > 0) this.#bytesRatio.add(sample.responseBytes / sample.requestBytes);
    if (sample.descendants !== undefined) this.#descendants.add(sample.descendants);
    this.#depth.add(sample.depth);
  }

  merge(other: TaxRowBuilder): void {
    this.#total.merge(other.#total);
    for (let part = 0; part < PARTS.length; part++) (this.#parts[part] as TaxHistogram).merge(other.#parts[part] as TaxHistogram);
    this.#requestBytes.merge(other.#requestBytes);
    this.#responseBytes.merge(other.#responseBytes);
    this.#bytesRatio.merge(other.#bytesRatio);
    this.#descendants.merge(other.#descendants);
    this.#depth.merge(other.#depth);
    this.#told += other.#told;
    this.#toldMs += other.#toldMs;
    this.#applicationMs += other.#applicationMs;
  }

  row(name: string): TaxRow {
    const taxMs = this.#toldMs - this.#applicationMs;
    return {
      name,
      attempts: this.#total.count,
      told: this.#told,
      totalMs: this.#total.percentiles(),
      parts: Object.fromEntries(PARTS.map((part, i) => [part, (this.#parts[i] as TaxHistogram).percentiles()])) as Record<
        TaxPart,
        Percentiles
      >,
      tax: this.#toldMs > 0 ? taxMs / this.#toldMs : null,
      taxMs,
      requestBytes: this.#requestBytes.percentiles(),
      responseBytes: this.#responseBytes.percentiles(),
      bytesRatio: this.#bytesRatio.percentiles(),
      descendants: this.#descendants.percentiles(),
      depth: this.#depth.percentiles(),
    };
  }
}

/** Rows by name, at most so many; what comes later is `other`. */
export class TaxRows {
  readonly #rows = new Map<string, TaxRowBuilder>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  of(name: string): TaxRowBuilder {
    let row = this.#rows.get(name);
    if (row !== undefined) return row;
    if (this.#rows.size >= this.#most && name !== OTHER) return this.of(OTHER);
    row = new TaxRowBuilder();
    this.#rows.set(name, row);
    return row;
  }

  /** All of them taken together. */
  all(): TaxRow {
    const all = new TaxRowBuilder();
    for (const row of this.#rows.values()) all.merge(row);
    return all.row('all');
  }

  /** What there is most to win of comes first. */
  sorted(): TaxRow[] {
    return [...this.#rows].map(([name, row]) => row.row(name)).sort((a, b) => b.taxMs - a.taxMs);
  }
}

const OTHER = 'other';
