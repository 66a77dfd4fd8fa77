/**
 * What travels with calls: `evenkeel-knobs: REVISION;LEVEL;EPOCH`, on requests and on answers. A second way for news, which needs no store: whoever hears of a
 * newer state asks for it at once, and whoever cannot ask does without what its servers do without.
 *
 * Is what a server says believed? As far as it can do no harm: a revision is a reason to look, no more; a level counts only while nothing has proven our own
 * state, only if it is more severe, and only for a minute after the last answer that said so.
 */
import type { Clock } from '../core/clock.js';
import { HEADERS, type HeaderList, headerValue } from '../core/headers.js';
import type { CallExtension } from '../core/transport/call.js';
import type { HeadOrder } from './head-order.js';
import { isLevel, type Level, NORMAL_LEVEL } from './level.js';

export interface HintSource {
  /** Of what is held. */
  readonly head: Pick<HeadOrder, 'ageMs' | 'epoch' | 'revision'>;
  /** Of the scope `all`. */
  level(): Level;
  /** Asks the store now. */
  poll(): void;
}

const LEVEL_FOR_MS = 60_000;
/** A fleet of servers that all know better is one reason to ask, not a thousand. */
const ASK_EVERY_MS = 500;
/** Older states are told by nobody: what they say may be over. */
const MOST_AGE_MS = 5000;
const MAX_LENGTH = 256;

export class CallHints implements CallExtension {
  readonly #clock: Clock;
  readonly #source: HintSource;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #level: Level = NORMAL_LEVEL;
  #levelUntilMs = 0;
  /** The last text, and what it was made of: most calls have the same. */
  #text = '';
  #revision = -1;
  #toldLevel: Level = NORMAL_LEVEL;
  #epoch = '';

  constructor(clock: Clock, source: HintSource) {
    this.#clock = clock;
    this.#source = source;
  }

  /** Told by those who can be believed; NORMAL_LEVEL: nobody says anything. */
  level(nowMs: number): Level {
    return nowMs < this.#levelUntilMs ? this.#level : NORMAL_LEVEL;
  }

  /** The value of the header; undefined: nothing to say that is sure. */
  text(): string | undefined {
    const { epoch, revision } = this.#source.head;
    if (epoch === undefined || this.#source.head.ageMs(this.#clock.coarse()) > MOST_AGE_MS) return undefined;
    const level = this.#source.level();
    if (revision !== this.#revision || level !== this.#toldLevel || epoch !== this.#epoch) {
      this.#revision = revision;
      this.#toldLevel = level;
      this.#epoch = epoch;
      this.#text = `${revision};${level};${encodeURIComponent(epoch)}`;
    }
    return this.#text;
  }

  request(headers: string[]): void {
    const text = this.text();
    if (text !== undefined) headers.push(HEADERS.knobs.text, text);
  }

  response(headers: HeaderList): void {
    const value = headerValue(headers, HEADERS.knobs);
    if (value !== undefined) this.hear(value);
  }

  /** What cannot be read says nothing. */
  hear(value: string): void {
    const now = this.#clock.coarse();
    // As nearly always: it holds what we hold.
    if (value === this.#text) {
      this.#believe(this.#toldLevel, now);
      return;
    }
    const match = value.length <= MAX_LENGTH ? /^(\d{1,15});([1-4]);(.*)$/s.exec(value) : null;
    if (match === null) return;
    const [, revision, level, epoch] = match as unknown as [string, string, string, string];
    const { head } = this.#source;
    const told = Number(level);
    if (isLevel(told)) this.#believe(told, now);
    const isOtherEpoch = head.epoch === undefined || encodeURIComponent(head.epoch) !== epoch;
    const isNews = isOtherEpoch ? head.ageMs(now) > ASK_EVERY_MS : Number(revision) > head.revision;
    if (!isNews || now - this.#askedAtMs < ASK_EVERY_MS) return;
    this.#askedAtMs = now;
    this.#source.poll();
  }

  #believe(level: Level, now: number): void {
    this.#level = level;
    this.#levelUntilMs = now + LEVEL_FOR_MS;
  }
}
