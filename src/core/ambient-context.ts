/**
 * CallContext without passing it: for code whose signatures cannot be changed. Off until the first `run`, since AsyncLocalStorage,
 * once running, taxes every await of the process. One per runtime, so there is no global to leak through.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallContext } from './call-context.js';

export class AmbientContext {
  #storage: AsyncLocalStorage<CallContext> | undefined;

  /** Runs `work` with `context` in force for it and for all it starts. */
  run<T>(context: CallContext, work: () => T): T {
    this.#storage ??= new AsyncLocalStorage();
    return this.#storage.run(context, work);
  }

  /** The context in force here; undefined outside `run`, at no cost before the first. */
  get(): CallContext | undefined {
    return this.#storage?.getStore();
  }
}
