/**
 * Follows a stream: the last message of each subject, then every new one, for as long as it is open. Once a second it is proven to
 * be current (head-proof.ts); a look at the stream's head now and then checks on all of it.
 *
 * Nothing is terminal: a gap, a silence, a lost connection or a lost consumer ends in a new consumer, after a jittered pause. It
 * resumes behind the last message seen, while no trace of a deletion can have been swept since; otherwise it lists again.
 */
import type { Timer } from '../../core/clock.js';
import { randomId } from '../../core/random.js';
import { parseDeliverySubject } from './delivery-subject.js';
import { type Following, HeadProof, type Moment } from './head-proof.js';
import type { JetStream, StreamInfo } from './jetstream.js';
import type { NatsMessage } from './peer.js';
import type { LinkSubscription } from './requests.js';

export interface FollowListener {
  /** Makes the stream unless it is there. */
  open(): Promise<StreamInfo>;
  /** A list begins, the first or one that replaces all that was told before. */
  onList(): void;
  onMessage(message: NatsMessage, seq: number): void;
  /** The list is complete. */
  onListed(): void;
  /** All that was in the stream at `atMs` (Clock.now()) has been told. */
  onProof(atMs: number): void;
  /** Subjects that have a message, as far as has been told. */
  readonly size: number;
}

const HEARTBEAT_MS = 1000;
const PROOF_EVERY_MS = 1000;
/** Heartbeats missed that make a consumer dead. */
const SILENCE_MS = 2.5 * HEARTBEAT_MS;
const HEAD_CHECK_EVERY_MS = 10_000;
/** A cluster may give a consumer to a server that has just died: another one, under another name, is then the quicker way. */
const CREATE_WITHIN_MS = 3000;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 2000;
/** The server forgets a consumer that nobody listens to. */
const INACTIVE_NS = 10e9;
/** After a longer absence deletions may have been swept: only a list tells. */
export const RESUME_WITHIN_MS = 5 * 60_000;

export class StreamFollower implements Following {
  readonly #js: JetStream;
  readonly #stream: string;
  readonly #filter: string;
  readonly #listener: FollowListener;
  readonly #proof: HeadProof;
  #epoch = '';
  #rewinds = 0;
  /** Everything up to here has been told. */
  #lastSeq = 0;
  /** The stream's head when the consumer was made: what it delivers first covers that, deleted messages included. */
  #attachHead = 0;
  /** When the last proof was, on the monotonic clock, which stands still while a machine sleeps, and by the calendar. */
  #provenAt = Number.NEGATIVE_INFINITY;
  #provenWallTime = Number.NEGATIVE_INFINITY;
  #isListed = false;
  /** The consumer of this attempt is made, and has delivered what was there before. */
  #isCaughtUp = false;
  #consumerSeq = 0;
  #heardAt = 0;
  #subscription: LinkSubscription | undefined;
  /** Of the consumer in use; messages of earlier ones are not heard. */
  #attempt = 0;
  #isAttaching = false;
  #missedHead = 0;
  #nextHeadCheck = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: Timer | undefined;
  #retry: Timer | undefined;
  #isClosed = false;
  readonly #stopListening: () => void;

  constructor(js: JetStream, stream: string, filter: string, listener: FollowListener) {
    this.#js = js;
    this.#stream = stream;
    this.#filter = filter;
    this.#listener = listener;
    this.#proof = new HeadProof(js, stream, this, (asked) => this.#onProven(asked));
    this.#stopListening = js.link.onChange((isUp) => isUp && this.#again(FIRST_PAUSE_MS));
    this.#again(0);
    this.#tick();
  }

  /** Names the history that sequences belong to; empty before the first list. */
  get epoch(): string {
    return this.#epoch;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get consumer(): number | undefined {
    return this.#isCaughtUp && !this.#isSilent ? this.#attempt : undefined;
  }

  get #isSilent(): boolean {
    return this.#js.link.clock.now() - this.#heardAt > SILENCE_MS;
  }

  close(): void {
    this.#isClosed = true;
    this.#detach();
    this.#timer?.cancel();
    this.#retry?.cancel();
    this.#stopListening();
  }

  /** A new consumer after `afterMs` and a jitter of as much: many followers lose theirs in the same moment. */
  #again(afterMs: number): void {
    this.#detach();
    this.#retry?.cancel();
    if (this.#isClosed) return;
    const { clock, random } = this.#js.link;
    this.#retry = clock.timer(afterMs * (0.5 + random.next()), () => void this.#attach());
  }

  #detach(): void {
    this.#attempt++;
    this.#isCaughtUp = false;
    this.#proof.reset();
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
  }

  async #attach(): Promise<void> {
    if (this.#isClosed || this.#isAttaching) return;
    this.#isAttaching = true;
    const attempt = this.#attempt;
    let hasFailed = false;
    try {
      await this.#subscribe(attempt);
    } catch {
      // Whatever it was, a stream that is not there included: it may be otherwise soon.
      hasFailed = true;
    }
    this.#isAttaching = false;
    if (attempt !== this.#attempt) {
      // The connection changed while this was under way.
      if (this.#subscription === undefined) this.#again(0);
    } else if (hasFailed) {
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
      this.#again(this.#pauseMs);
    } else {
      this.#pauseMs = FIRST_PAUSE_MS;
    }
  }

  async #subscribe(attempt: number): Promise<void> {
    const { link } = this.#js;
    const info = await this.#listener.open();
    if (attempt !== this.#attempt) return;
    const isResumed = this.#canResume(info);
    if (isResumed) this.#nextHeadCheck = 0;
    else this.#beginList(info);
    this.#attachHead = info.state.last_seq;
    const inbox = `${link.settings.inboxPrefix}.${randomId(link.random)}`;
    const name = randomId(link.random);
    this.#consumerSeq = 0;
    this.#heardAt = link.clock.now();
    this.#subscription = link.subscribe(inbox, (message) => {
      if (attempt === this.#attempt) this.#receive(message);
    });
    const position = isResumed
      ? { deliver_policy: 'by_start_sequence', opt_start_seq: this.#lastSeq + 1 }
      : { deliver_policy: 'last_per_subject' };
    const config = {
      name,
      ...position,
      deliver_subject: inbox,
      filter_subject: this.#filter,
      ack_policy: 'none',
      idle_heartbeat: HEARTBEAT_MS * 1e6,
      flow_control: true,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: INACTIVE_NS,
    };
    const { num_pending: pending } = await this.#js.api<{ num_pending: number }>(
      `CONSUMER.CREATE.${this.#stream}.${name}`,
      { stream_name: this.#stream, config },
      { timeoutMs: Math.min(CREATE_WITHIN_MS, link.settings.timeoutMs) },
    );
    if (attempt !== this.#attempt) return;
    if (pending === 0 && this.#consumerSeq === 0) this.#caughtUp();
  }

  #canResume({ created, state }: StreamInfo): boolean {
    if (!this.#isListed || this.#epoch !== this.#epochOf(created)) return false;
    if (state.last_seq < this.#lastSeq) {
      this.#rewinds++;
      return false;
    }
    const { clock } = this.#js.link;
    return clock.now() - this.#provenAt < RESUME_WITHIN_MS && clock.wallTime() - this.#provenWallTime < RESUME_WITHIN_MS;
  }

  #epochOf(created: string): string {
    return this.#rewinds === 0 ? created : `${created}#${this.#rewinds}`;
  }

  #beginList({ created }: StreamInfo): void {
    this.#epoch = this.#epochOf(created);
    this.#isListed = false;
    this.#lastSeq = 0;
    this.#listener.onList();
  }

  #caughtUp(): void {
    if (this.#isCaughtUp) return;
    this.#isCaughtUp = true;
    // What is gone behind the last message does not come.
    this.#lastSeq = Math.max(this.#lastSeq, this.#attachHead);
    if (!this.#isListed) {
      this.#isListed = true;
      this.#listener.onListed();
    }
    this.#proof.ask();
  }

  #receive(message: NatsMessage): void {
    this.#heardAt = this.#js.link.clock.now();
    const { headers, reply } = message;
    if (headers?.code === 100) {
      // Flow control asks in the reply subject, or, once stalled, in a heartbeat's header.
      const answerTo = reply || headers.get('Nats-Consumer-Stalled');
      if (answerTo) this.#js.link.up?.publish(answerTo);
      const delivered = headers.get('Nats-Last-Consumer');
      if (delivered !== '' && Number(delivered) !== this.#consumerSeq) this.#again(FIRST_PAUSE_MS);
      return;
    }
    const position = parseDeliverySubject(reply);
    if (position === undefined) return;
    if (position.consumerSeq !== this.#consumerSeq + 1) {
      this.#again(FIRST_PAUSE_MS);
      return;
    }
    this.#consumerSeq = position.consumerSeq;
    this.#lastSeq = position.streamSeq;
    this.#listener.onMessage(message, position.streamSeq);
    if (position.pending > 0) return;
    this.#caughtUp();
    this.#proof.messageCame();
  }

  #tick(): void {
    this.#timer = this.#js.link.clock.timer(PROOF_EVERY_MS, () => {
      this.#tick();
      const now = this.#js.link.clock.now();
      if (this.#subscription !== undefined && !this.#isAttaching && this.#isSilent && this.#js.link.isConnected) {
        this.#again(FIRST_PAUSE_MS);
        return;
      }
      this.#proof.ask();
      if (now >= this.#nextHeadCheck) {
        this.#nextHeadCheck = now + HEAD_CHECK_EVERY_MS * (0.8 + 0.4 * this.#js.link.random.next());
        void this.#checkHead();
      }
    });
  }

  #onProven({ atMs, wallTime }: Moment): void {
    this.#provenAt = atMs;
    this.#provenWallTime = wallTime;
    this.#listener.onProof(atMs);
  }

  /** What a heartbeat cannot tell: that the consumer itself lost its place, or the stream its history. */
  async #checkHead(): Promise<void> {
    const attempt = this.#attempt;
    try {
      const { created, state } = await this.#js.info(this.#stream);
      if (attempt !== this.#attempt || !this.#isListed) return;
      const isOther = this.#epochOf(created) !== this.#epoch || state.last_seq < this.#lastSeq;
      // Behind twice in a row by the same message: it will not come.
      const isBehind = this.#missedHead > this.#lastSeq;
      this.#missedHead = state.last_seq > this.#lastSeq ? state.last_seq : 0;
      // No clock of ours saw how long we were away, and a deletion was swept meanwhile.
      const isShort = state.last_seq === this.#lastSeq && state.messages < this.#listener.size;
      if (isShort) this.#provenAt = Number.NEGATIVE_INFINITY;
      if (isOther || isBehind || isShort) this.#again(FIRST_PAUSE_MS);
      else if (this.#missedHead > 0) this.#nextHeadCheck = this.#js.link.clock.now() + PROOF_EVERY_MS;
    } catch {
      // No answer proves nothing; the silence of the consumer will.
    }
  }
}
