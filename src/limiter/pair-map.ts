/** A map by two strings that builds no third one to look something up: it is asked at every call. */
export class PairMap<T> {
  readonly #rows = new Map<string, Map<string, T>>();
  size = 0;

  get(first: string, second: string): T | undefined {
    return this.#rows.get(first)?.get(second);
  }

  set(first: string, second: string, value: T): void {
    let row = this.#rows.get(first);
    if (row === undefined) {
      row = new Map();
      this.#rows.set(first, row);
    }
    if (!row.has(second)) this.size++;
    row.set(second, value);
  }

  delete(first: string, second: string): void {
    const row = this.#rows.get(first);
    if (!row?.delete(second)) return;
    this.size--;
    if (row.size === 0) this.#rows.delete(first);
  }

  *values(): Generator<T> {
    for (const row of this.#rows.values()) yield* row.values();
  }

  clear(): void {
    this.#rows.clear();
    this.size = 0;
  }
}
