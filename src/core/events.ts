/**
 * The one door to eventemitter3: typed events that cannot hurt the emitter.
 *
 * Every listener runs, even after one threw; a throw (or a rejected promise) goes to diagnostics, never to the code that emitted.
 * Nothing is built without a listener: guard costly payloads with `has(name)`.
 */
import { EventEmitter } from 'eventemitter3';
import type { Diagnostics } from './diagnostics.js';

export type EventMap = { [name: string]: unknown };

/** What users see: subscribe. */
export interface Events<M extends EventMap> {
  /** Returns the function that unsubscribes. */
  on<K extends keyof M & string>(name: K, listener: (event: M[K]) => void): () => void;
  once<K extends keyof M & string>(name: K, listener: (event: M[K]) => void): () => void;
}

/** What the owner holds: emit as well. */
export class EventSource<M extends EventMap> implements Events<M> {
  readonly #emitter = new EventEmitter();
  readonly #diagnostics: Diagnostics;
  readonly #source: string;
  /** Names with listeners: almost always 0, and then `has` is one comparison. */
  #heard = 0;

  constructor(source: string, diagnostics: Diagnostics) {
    this.#source = source;
    this.#diagnostics = diagnostics;
  }

  has(name: keyof M & string): boolean {
    return this.#heard > 0 && this.#emitter.listenerCount(name) > 0;
  }

  emit<K extends keyof M & string>(name: K, event: M[K]): void {
    this.#emitter.emit(name, event);
  }

  on<K extends keyof M & string>(name: K, listener: (event: M[K]) => void): () => void {
    const guarded = this.#guard(name, listener);
    this.#emitter.on(name, guarded);
    this.#recount();
    return () => {
      this.#emitter.off(name, guarded);
      this.#recount();
    };
  }

  once<K extends keyof M & string>(name: K, listener: (event: M[K]) => void): () => void {
    const off = this.on(name, (event) => {
      off();
      return listener(event);
    });
    return off;
  }

  /** Forgets every listener. */
  clear(): void {
    this.#emitter.removeAllListeners();
    this.#recount();
  }

  #recount(): void {
    this.#heard = this.#emitter.eventNames().length;
  }

  #guard<K extends keyof M & string>(name: K, listener: (event: M[K]) => void): (event: M[K]) => void {
    return (event) => {
      try {
        const result: unknown = listener(event);
        if (result instanceof Promise) result.catch((error) => this.#diagnostics.report(`${this.#source}:${name}`, error));
      } catch (error) {
        this.#diagnostics.report(`${this.#source}:${name}`, error);
      }
    };
  }
}
