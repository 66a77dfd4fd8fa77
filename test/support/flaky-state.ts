/** A StateTransport between a module and a store that can be made to fail, to hang, or to lose its answers. */
import { EvenkeelError, type PutOptions, type StateEntry, type StateEvent, type StateTransport, type Watch } from 'evenkeel/core';

export type StateFault =
  /** Refused at once; nothing was done. */
  | 'unavailable'
  /** Never settles; nothing was done. */
  | 'hang'
  /** Done, but the answer is lost. */
  | 'lost-answer'
  /** Done, but the answer never comes. */
  | 'hang-after';

export class FlakyState implements StateTransport {
  /** What becomes of each request; undefined: it goes through. */
  fault: StateFault | undefined;
  readonly requests: string[] = [];
  /** Events of watches are dropped while set. */
  isDeaf = false;
  readonly #inner: StateTransport;

  constructor(inner: StateTransport) {
    this.#inner = inner;
  }

  get(key: string, options?: { signal?: AbortSignal }): Promise<StateEntry | undefined> {
    return this.#pass(`get ${key}`, () => this.#inner.get(key, options));
  }

  put(key: string, value: Uint8Array, options?: PutOptions): Promise<number> {
    return this.#pass(`put ${key} ${options?.expect ?? 'any'}`, () => this.#inner.put(key, value, options));
  }

  delete(key: string, options?: { expect?: number; signal?: AbortSignal }): Promise<number> {
    return this.#pass(`delete ${key}`, () => this.#inner.delete(key, options));
  }

  watch(prefix: string, on: (event: StateEvent) => void): Watch {
    if (this.fault !== undefined) throw new EvenkeelError('unavailable', 'the store is down', { retryable: 'yes' });
    return this.#inner.watch(prefix, (event) => {
      if (!this.isDeaf) on(event);
    });
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #pass<T>(request: string, send: () => Promise<T>): Promise<T> {
    this.requests.push(request);
    const { fault } = this;
    if (fault === 'hang') return await new Promise<T>(() => {});
    if (fault === 'unavailable') throw new EvenkeelError('unavailable', 'the store is down', { retryable: 'yes' });
    const result = await send();
    if (fault === 'hang-after') return await new Promise<T>(() => {});
    if (fault === 'lost-answer') throw new EvenkeelError('unavailable', 'the answer was lost', { retryable: 'unknown' });
    return result;
  }
}
