/** A stream, or several that belong together, made at the first use, and again when gone: somebody may have deleted it, or a server lost it. */
import { type EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import { unlessAborted } from '../../core/internal/transport-guards.js';
import type { StreamInfo } from './jetstream.js';
import { CONSUMER_NOT_FOUND, numberOf, STREAM_NOT_FOUND } from './nats-errors.js';

export class OpenedStream {
  readonly #open: () => Promise<StreamInfo>;
  readonly #onOther: () => void;
  #ready: Promise<void> | undefined;
  #created = '';

  /** @param onOther - Hears that it is another stream than before, of the same name. */
  constructor(open: () => Promise<StreamInfo>, onOther: () => void = () => {}) {
    this.#open = open;
    this.#onOther = onOther;
  }

  /** It is there. */
  async ready(signal?: AbortSignal): Promise<void> {
    this.#ready ??= this.#look();
    await unlessAborted(this.#ready, signal);
  }

  /** It may be gone: the next use looks. */
  forget(): void {
    this.#ready = undefined;
  }

  async use<T>(signal: AbortSignal | undefined, operation: () => Promise<T>): Promise<T> {
    for (let isFirst = true; ; isFirst = false) {
      await this.ready(signal);
      try {
        return await operation();
      } catch (error) {
        const isGone = [STREAM_NOT_FOUND, CONSUMER_NOT_FOUND].includes(numberOf(error));
        // Where nobody answered it may be gone, too.
        if (isGone || isEvenkeelError(error, 'unavailable')) this.forget();
        // What may have acted before it went does not act again.
        if (!isGone || !isFirst || (error as EvenkeelError).retryable === 'unknown') throw error;
      }
    }
  }

  /** A failure is forgotten: the next use tries again. */
  async #look(): Promise<void> {
    try {
      const { created } = await this.#open();
      if (this.#created !== '' && created !== this.#created) this.#onOther();
      this.#created = created;
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }
}
