/**
 * Proves that a follower of a stream is current.
 *
 * How is that known? A ping goes to the server. The server answers in order, so when the answer is here, so is every message that
 * was delivered before the ping; and that deliveries go on is known from the consumer's heartbeats. A proof therefore counts from
 * the moment the ping left. In a cluster messages come from another server than the pong: there the stream's leader is asked where
 * the head is, and the proof is complete when that has come.
 */
import type { JetStream, StreamInfo } from './jetstream.js';

export interface Following {
  /** Everything up to here has been told. */
  readonly lastSeq: number;
  /** Names the consumer, once it has delivered what was there before it; undefined until then, and when it is silent. */
  readonly consumer: number | undefined;
}

export class HeadProof {
  readonly #js: JetStream;
  readonly #stream: string;
  readonly #following: Following;
  readonly #onProven: (atMs: number) => void;
  #isAsking = false;
  /** Where the stream's leader said the head was, and when it was asked. */
  #awaited: { readonly atMs: number; readonly head: number } | undefined;

  /** @param onProven - All that was in the stream at `atMs` (Clock.now()) has been told. */
  constructor(js: JetStream, stream: string, following: Following, onProven: (atMs: number) => void) {
    this.#js = js;
    this.#stream = stream;
    this.#following = following;
    this.#onProven = onProven;
  }

  /** Asks for proof that all there was at this moment has been told. */
  ask(): void {
    const { up, clock, isClustered } = this.#js.link;
    const { consumer } = this.#following;
    if (up === undefined || this.#isAsking || consumer === undefined) return;
    this.#isAsking = true;
    const atMs = clock.now();
    const answered: Promise<StreamInfo | undefined> = isClustered
      ? this.#js.info(this.#stream)
      : up.flush().then(() => undefined);
    const onAnswer = (answer: StreamInfo | undefined) => {
      this.#isAsking = false;
      if (consumer !== this.#following.consumer) return;
      if (answer === undefined) this.#onProven(atMs);
      else this.#awaited ??= { atMs, head: answer.state.last_seq };
      this.messageCame();
    };
    const onLost = () => {
      this.#isAsking = false;
    };
    answered.then(onAnswer, onLost);
  }

  /** It may be the head that the leader told of. */
  messageCame(): void {
    if (this.#awaited === undefined || this.#following.lastSeq < this.#awaited.head) return;
    const { atMs } = this.#awaited;
    this.#awaited = undefined;
    this.#onProven(atMs);
  }

  /** The consumer is another: what it has delivered proves nothing of the one before. */
  reset(): void {
    this.#awaited = undefined;
  }
}
