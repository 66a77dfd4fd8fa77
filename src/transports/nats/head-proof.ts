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

/** When a proof was asked for: what it says counts from there, not from when its answer was read. */
export interface Moment {
  /** Clock.now() */
  readonly atMs: number;
  /** Clock.wallTime(): the other stands still while a machine sleeps. */
  readonly wallTime: number;
}

export class HeadProof {
  readonly #js: JetStream;
  readonly #stream: string;
  readonly #following: Following;
  readonly #onProven: (asked: Moment) => void;
  #isAsking = false;
  /** Where the stream's leader said the head was, and when it was asked. */
  #awaited: { readonly asked: Moment; readonly head: number } | undefined;

  /** @param onProven - All that was in the stream at that moment has been told. */
  constructor(js: JetStream, stream: string, following: Following, onProven: (asked: Moment) => void) {
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
    const asked = { atMs: clock.now(), wallTime: clock.wallTime() };
    const answered: Promise<StreamInfo | undefined> = isClustered
      ? this.#js.info(this.#stream)
      : up.flush().then(() => undefined);
    const onAnswer = (answer: StreamInfo | undefined) => {
      this.#isAsking = false;
      if (consumer !== this.#following.consumer) return;
      if (answer === undefined) this.#onProven(asked);
      else this.#awaited ??= { asked, head: answer.state.last_seq };
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
    const { asked } = this.#awaited;
    this.#awaited = undefined;
    this.#onProven(asked);
  }

  /** The consumer is another: what it has delivered proves nothing of the one before. */
  reset(): void {
    this.#awaited = undefined;
  }
}
