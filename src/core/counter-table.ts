/**
 * The counters of a load board by key, and their bounds.
 *
 * What when there are too many? Names of models come from outside: beyond {@link MAX_COUNTERS} a new key takes the place of a
 * model's counter with nothing in flight, and where there is none it shares the counter `other`. Endpoints come from resolvers and
 * never share, for a picker that compared one sum with itself would be blind: those in use are as many as the lists that name
 * them, and go when their last user has.
 */
import type { Clock } from './clock.js';
import { MAX_ENDPOINTS } from './endpoint.js';
import { checkNumber, EvenkeelError, invalidArgument } from './errors.js';
import { type LoadUnit, WorkCounter } from './load-counter.js';

export const MAX_COUNTERS = 10_000;
const MAX_KEY_LENGTH = 300;
const OVERFLOW_KEY = 'other';
const ENDPOINT_PREFIX = 'endpoint:';
export const MODEL_PREFIX = 'model:';

export interface CounterOptions {
  unit?: LoadUnit;
  capacity?: number;
}

export class CounterTable {
  readonly #clock: Clock;
  readonly #endpoints = new Map<string, WorkCounter>();
  /** Of endpoints, by id. */
  readonly #users = new Map<string, number>();
  readonly #others = new Map<string, WorkCounter>();
  /** Where the search for an idle model goes on: each is looked at once a round, however often it is asked. */
  #hand: Iterator<WorkCounter>;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#hand = this.#others.values();
  }

  get(key: string): WorkCounter | undefined {
    return this.#others.get(key) ?? this.#endpoints.get(key);
  }

  /** The counter of that key, made at first use. */
  counter(key: string, options: CounterOptions = {}): WorkCounter {
    const existing = this.get(key);
    const capacity = options.capacity === undefined ? undefined : checkCapacity(options.capacity);
    if (existing !== undefined) {
      if (options.unit !== undefined && options.unit !== existing.unit) {
        throw invalidArgument(`unit of ${key}`, options.unit, `${existing.unit}, as it was first given`);
      }
      if (capacity !== undefined) existing.capacity = capacity;
      return existing;
    }
    if (typeof key !== 'string' || key.length === 0 || key.length > MAX_KEY_LENGTH) {
      throw invalidArgument('key', key, `1 to ${MAX_KEY_LENGTH} characters`);
    }
    const isEndpoint = key.startsWith(ENDPOINT_PREFIX);
    if (isEndpoint && this.#endpoints.size >= MAX_ENDPOINTS) {
      throw new EvenkeelError('resource-exhausted', `more than ${MAX_ENDPOINTS} endpoints are counted`);
    }
    if (!isEndpoint && this.#others.size >= MAX_COUNTERS && key !== OVERFLOW_KEY && !this.#evictIdleModel()) {
      return this.counter(OVERFLOW_KEY);
    }
    const counter = new WorkCounter(this.#clock, key, options.unit ?? 'calls', capacity ?? Number.POSITIVE_INFINITY);
    (isEndpoint ? this.#endpoints : this.#others).set(key, counter);
    return counter;
  }

  /** The endpoint's counter, kept until `forgetEndpoint` was called as often. */
  useEndpoint(id: string): WorkCounter {
    const key = ENDPOINT_PREFIX + id;
    let counter = this.#endpoints.get(key);
    if (counter === undefined) {
      counter = new WorkCounter(this.#clock, key, 'calls', Number.POSITIVE_INFINITY);
      this.#endpoints.set(key, counter);
    }
    this.#users.set(id, (this.#users.get(id) ?? 0) + 1);
    return counter;
  }

  /** True when nobody uses the endpoint any more and its counter is gone. */
  forgetEndpoint(id: string): boolean {
    const users = (this.#users.get(id) ?? 0) - 1;
    if (users > 0) {
      this.#users.set(id, users);
      return false;
    }
    this.#users.delete(id);
    this.#endpoints.delete(ENDPOINT_PREFIX + id);
    return true;
  }

  /** Drops a counter that nothing is in flight in, endpoints' aside; false: it stays, or there is none. */
  forget(key: string): boolean {
    return this.#others.get(key)?.inFlight === 0 && key !== OVERFLOW_KEY && this.#others.delete(key);
  }

  *keys(): Generator<string> {
    yield* this.#others.keys();
    yield* this.#endpoints.keys();
  }

  /** All but endpoints. */
  others(): Iterable<WorkCounter> {
    return this.#others.values();
  }

  /** One that was given a capacity is the program's own, and stays. */
  #evictIdleModel(): boolean {
    for (let seen = 0; seen < this.#others.size; seen++) {
      let next = this.#hand.next();
      if (next.done) {
        this.#hand = this.#others.values();
        next = this.#hand.next();
      }
      const { key, inFlight, capacity } = next.value as WorkCounter;
      if (inFlight === 0 && capacity === Number.POSITIVE_INFINITY && key.startsWith(MODEL_PREFIX)) {
        return this.#others.delete(key);
      }
    }
    return false;
  }
}

function checkCapacity(capacity: number): number {
  return capacity === Number.POSITIVE_INFINITY ? capacity : checkNumber('capacity', capacity, Number.MIN_VALUE);
}
