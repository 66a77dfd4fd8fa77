/**
 * A blob on its way to a store: each piece is a request, and the next buffer is lent when its answer is there. A piece that is not
 * answered spends the writer: nobody knows what the store has.
 */
import { EvenkeelError } from '../../core/errors.js';
import { LentBuffer } from '../../core/internal/lent-buffer.js';
import { cancelled } from '../../core/internal/transport-guards.js';
import type { BlobStat, BlobWriter } from '../../core/transport/blob.js';
import type { ServedWriter } from './blob-store.js';
import type { StoreClient } from './store-client.js';
import type { Wire } from './wire.js';

export class SimBlobWriter implements BlobWriter {
  readonly #name: string;
  readonly #client: StoreClient;
  readonly #wire: Wire;
  readonly #served: ServedWriter;
  readonly #signal: AbortSignal | undefined;
  readonly #onSpent: () => void;
  readonly #forget: () => void;
  readonly #buffer = new LentBuffer();
  #end: EvenkeelError | undefined;

  constructor(
    name: string,
    client: StoreClient,
    wire: Wire,
    served: ServedWriter,
    signal: AbortSignal | undefined,
    onSpent: () => void,
  ) {
    this.#name = name;
    this.#client = client;
    this.#wire = wire;
    this.#served = served;
    this.#signal = signal;
    this.#onSpent = onSpent;
    this.#forget = client.process.onKill(() => this.#abandon());
    if (signal?.aborted) this.#onAbort();
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  async buffer(): Promise<Uint8Array> {
    this.#check();
    return this.#buffer.lend();
  }

  async write(n: number): Promise<void> {
    this.#check();
    const piece = this.#buffer.filled(n).slice();
    this.#buffer.takeBack();
    await this.#request(() => this.#served.write(piece));
  }

  async commit(): Promise<BlobStat> {
    this.#check();
    const stat = await this.#request(() => this.#served.commit());
    this.#spend(new EvenkeelError('failed-precondition', `${this.#name} is committed`));
    return stat;
  }

  async abort(): Promise<void> {
    this.fail(new EvenkeelError('failed-precondition', `the writer of ${this.#name} was aborted`));
  }

  /** Ends the writer, if it has not ended; every later operation fails with `error`. */
  fail(error: EvenkeelError): void {
    if (this.#end !== undefined) return;
    this.#spend(error);
    this.#client.process.operate(() => this.#abandon());
  }

  async #request<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await this.#client.request('write', work, this.#wire);
      this.#check();
      return result;
    } catch (cause) {
      this.fail(new EvenkeelError('failed-precondition', `the writer of ${this.#name} failed before`, { cause }));
      throw cause;
    }
  }

  #abandon(): void {
    this.#wire.send(() => this.#served.abort());
  }

  #spend(end: EvenkeelError): void {
    this.#end = end;
    this.#buffer.drop();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#forget();
    this.#onSpent();
  }

  #check(): void {
    if (this.#end !== undefined) throw this.#end;
  }

  readonly #onAbort = (): void => {
    if (this.#signal !== undefined) this.fail(cancelled(this.#signal, `the writer of ${this.#name}`));
  };
}
