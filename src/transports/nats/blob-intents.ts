/**
 * Words left beside chunks that may have to go: one message a set of chunks, the last of which counts. Whoever finds it when nobody
 * is at work any more removes both, unless a manifest names the chunks (abandoned-chunks.ts).
 */
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import type { Intent, Intents, StoredIntent } from './abandoned-chunks.js';
import { type JetStream, parseRecord } from './jetstream.js';

/** Chunks on their way to be a blob. */
export interface Chunks {
  readonly id: string;
  readonly name: string;
  readonly chunkBytes: number;
  /** Sequence of the intent; 0: none yet. */
  intent: number;
}

export class BlobIntents implements Intents {
  readonly #js: JetStream;
  readonly #stream: string;
  readonly #base: string;

  /** @param base - What the subjects of intents begin with. */
  constructor(js: JetStream, stream: string, base: string) {
    this.#js = js;
    this.#stream = stream;
    this.#base = base;
  }

  /**
   * Says that the writer of the chunks is at work.
   * @throws {EvenkeelError} `aborted` when others took it for dead.
   */
  async renew(chunks: Chunks, signal?: AbortSignal): Promise<void> {
    const { id, name } = chunks;
    for (;;) {
      try {
        chunks.intent = await this.#say(id, { name }, chunks.intent, signal);
        return;
      } catch (error) {
        if (!isEvenkeelError(error, 'aborted')) throw error;
      }
      const found = await this.read(id, signal);
      if (found === undefined || found.isAbandoned === true) {
        throw new EvenkeelError('aborted', `the writer of ${name} said nothing for an hour: its chunks were removed`);
      }
      // An earlier renewal of ours, whose answer was lost.
      chunks.intent = found.seq;
    }
  }

  /** Says that the chunks of a blob are about to be replaced or deleted; resolves with the sequence of the word. */
  condemn(id: string, name: string): Promise<number> {
    return this.#say(id, { name });
  }

  /**
   * Says that the writer of the chunks is dead; resolves with the sequence of the word. From here on the writer, should it live, is refused.
   * @throws {EvenkeelError} `aborted` when it, or somebody else, has said something since.
   */
  abandon(id: string, { name = '', seq }: StoredIntent): Promise<number> {
    return this.#say(id, { name, isAbandoned: true }, seq);
  }

  async *ids(): AsyncGenerator<string, void> {
    for await (const [subject] of this.#js.subjects(this.#stream, `${this.#base}*`)) yield subject.slice(this.#base.length);
  }

  async read(id: string, signal?: AbortSignal): Promise<StoredIntent | undefined> {
    const message = await this.#js.message(this.#stream, { last_by_subj: this.#base + id }, { signal });
    if (message === undefined) return undefined;
    const { seq, time, data } = message;
    return { ...(parseRecord(data) as Partial<Intent>), seq, atMs: Date.parse(time) };
  }

  /** What others have said since of the same chunks stays. What cannot be removed is found by whoever looks. */
  async forget(id: string, seq: number): Promise<void> {
    await this.#js.purge(this.#stream, this.#base + id, { seq: seq + 1 }).catch(() => {});
  }

  /** @param last - Sequence of the word before, 0 for the first; undefined for whatever there is. */
  async #say(id: string, intent: Intent, last?: number, signal?: AbortSignal): Promise<number> {
    const options = { what: `write blob ${intent.name}`, stream: this.#stream, expect: last, signal };
    return (await this.#js.publish(this.#base + id, JSON.stringify({ v: 1, ...intent }), options)).seq;
  }
}
