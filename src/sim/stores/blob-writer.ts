/**
 * A blob on its way to a store: each piece is a request, and the next buffer is lent when its answer is there. A piece that is not
 * answered spends the writer: nobody knows what the store has.
 */
import { checkInteger, EvenkeelError } from '../../core/errors.js';
import { cancelled } from '../../core/internal/transport-guards.js';
import type { BlobStat, BlobWriter } from '../../core/transport/blob.js';
import type { ServedWriter } from './blob-store.js';
import type { StoreClient } from './store-client.js';
import type { Wire } from './wire.js';

/** As the reference's. */
const BUFFER_BYTES = 256 * 1024;

export class SimBlobWriter implements BlobWriter {
  readonly #name: string;
  readonly #client: StoreClient;
  readonly #wire: Wire;
  readonly #served: ServedWriter;
  readonly #signal: AbortSignal | undefined;
  readonly #onSpent: () => void;
  readonly #forget: () => void;
  #buffer: Uint8Array | undefined;
  #isLent = false;
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
    if (this.#isLent) throw new EvenkeelError('failed-precondition', 'the buffer lent last has not been written yet');
    this.#isLent = true;
    this.#buffer ??= new Uint8Array(BUFFER_BYTES);
    return this.#buffer;
  }

  async write(n: number): Promise<void> {
    this.#check();
    if (!this.#isLent || this.#buffer === undefined) throw new EvenkeelError('failed-precondition', 'no buffer is lent');
    checkInteger('n', n, 0, this.#buffer.byteLength);
    const piece = this.#buffer.slice(0, n);
    this.#isLent = false;
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
    this.#buffer = undefined;
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
