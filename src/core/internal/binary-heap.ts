/** A binary heap: the least item by `isBefore` first. Push and pop O(log n). */
export class BinaryHeap<T> {
  readonly #items: T[] = [];
  readonly #isBefore: (a: T, b: T) => boolean;

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#rise(item, this.#items.length - 1);
  }

  pop(): T | undefined {
    const first = this.#items[0];
    const last = this.#items.pop();
    if (this.#items.length > 0) this.#sink(last as T, 0);
    return first;
  }

  /** Keeps the items for which `wanted` holds. O(n). */
  retain(wanted: (item: T) => boolean): void {
    const kept = this.#items.filter(wanted);
    this.#items.length = 0;
    for (const item of kept) this.push(item);
  }

  /**
   * A hole sinks to the bottom past the lesser child of each pair, and the item rises from there: it was the last, and belongs near the
   * bottom mostly, so that this takes half the comparisons of a sinking item.
   */
  #sink(item: T, from: number): void {
    const items = this.#items;
    const isBefore = this.#isBefore;
    const { length } = items;
    let hole = from;
    for (let child = 2 * hole + 1; child < length; child = 2 * hole + 1) {
      if (child + 1 < length && isBefore(items[child + 1] as T, items[child] as T)) child++;
      items[hole] = items[child] as T;
      hole = child;
    }
    this.#rise(item, hole);
  }

  #rise(item: T, from: number): void {
    const items = this.#items;
    const isBefore = this.#isBefore;
    let hole = from;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!isBefore(item, items[parent] as T)) break;
      items[hole] = items[parent] as T;
      hole = parent;
    }
    items[hole] = item;
  }
}
