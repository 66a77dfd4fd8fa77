/**
 * Items whose start time has not come: this server has no delayed delivery that spends no attempt, so the clients that lease move
 * them. Looking happens when somebody leases or waits, and never otherwise.
 *
 * What when a mover dies between storing an item as ready and removing it as delayed? The next one does both again: under the same
 * message id it is stored once, and when the server has forgotten that id (30 s), the item is delivered twice.
 */
import type { Timer } from '../../core/clock.js';
import { isEvenkeelError } from '../../core/errors.js';
import { ID, idOf } from './queue-enqueue.js';
import type { QueueStreams } from './queue-streams.js';
import { type DelayedSubject, isKeyToken, KEYLESS } from './queue-subjects.js';

const LOOK_EVERY_MS = 1000;
/** Moved at once; a body has up to 256 KiB. */
const WINDOW = 32;
const MAX_MOVES_A_LOOK = 1024;
/** A look that takes long, in a queue with many delayed items, is taken less often: this share of the time. */
const LOOKING_SHARE = 20;

export class DelayedItems {
  readonly #streams: QueueStreams;
  #attending = 0;
  #looking: Promise<void> | undefined;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  /** Wall-clock time of the next one known. */
  #nextDueMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(streams: QueueStreams) {
    this.#streams = streams;
  }

  /** An item with this start time was seen. */
  expect(dueMs: number): void {
    this.#nextDueMs = Math.min(this.#nextDueMs, dueMs);
    this.#arm();
  }

  /** Moves what is due, when the last look is old or something known is due. */
  async catchUp(): Promise<void> {
    const { clock } = this.#streams.js.link;
    if (clock.now() < this.#nextLookMs && clock.wallTime() < this.#nextDueMs) return;
    try {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
    } catch (error) {
      // What is ready can be had without; the next look tries again.
      this.#nextLookMs = clock.now() + LOOK_EVERY_MS;
      if (!isEvenkeelError(error, 'unavailable') && !isEvenkeelError(error, 'resource-exhausted')) throw error;
    }
  }

  /** Looks once a second until the returned function is called. */
  attend(): () => void {
    this.#attending++;
    this.#arm();
    return () => {
      this.#attending--;
      this.#arm();
    };
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#attending === 0 || this.#looking !== undefined) return;
    const { clock } = this.#streams.js.link;
    const inMs = Math.min(this.#nextLookMs - clock.now(), this.#nextDueMs - clock.wallTime());
    this.#timer = clock.timer(Math.max(0, inMs), () => {
      this.catchUp()
        .catch(() => {})
        .finally(() => this.#arm());
    });
  }

  async #look(): Promise<void> {
    const { clock, random } = this.#streams.js.link;
    const startedMs = clock.now();
    this.#nextDueMs = Number.POSITIVE_INFINITY;
    const wallMs = clock.wallTime();
    const due: DelayedSubject[] = [];
    let nextDueMs = Number.POSITIVE_INFINITY;
    for (const subject of (await this.#streams.listSubjects(this.#streams.subjects.allDelayed)).keys()) {
      const delayed = this.#streams.subjects.parseDelayed(subject);
      if (delayed === undefined) continue;
      if (delayed.dueMs <= wallMs) due.push(delayed);
      else nextDueMs = Math.min(nextDueMs, delayed.dueMs);
    }
    due.sort((a, b) => a.dueMs - b.dueMs);
    const moves = due.slice(0, MAX_MOVES_A_LOOK);
    for (let from = 0; from < moves.length; from += WINDOW) await this.#move(moves.slice(from, from + WINDOW));
    const tookMs = clock.now() - startedMs;
    const pauseMs = Math.max(LOOK_EVERY_MS * (0.75 + 0.25 * random.next()), tookMs * LOOKING_SHARE);
    this.#nextLookMs = moves.length < due.length ? startedMs : clock.now() + pauseMs;
    this.#nextDueMs = Math.min(this.#nextDueMs, nextDueMs);
  }

  /** In the order given, those with the same start time in the order they were stored. */
  async #move(window: readonly DelayedSubject[]): Promise<void> {
    const { js, items } = this.#streams;
    const read = await Promise.all(
      window.map(async (delayed) => ({ delayed, message: await js.message(items, { last_by_subj: delayed.subject }) })),
    );
    const found = read.flatMap(({ delayed, message }) =>
      message === undefined ? [] : [{ delayed, message, id: idOf(message) }],
    );
    found.sort((a, b) => a.delayed.dueMs - b.delayed.dueMs || a.id - b.id);
    const moved = await Promise.allSettled(
      found.map(async ({ delayed, message, id }) => {
        if (await this.#storeReady(delayed.token, message.data, id)) await this.#streams.remove(message.seq);
      }),
    );
    for (const end of moved) if (end.status === 'rejected') throw end.reason;
  }

  /** False while another item has the key: a race that its later one has not given up yet. */
  async #storeReady(token: string, body: Uint8Array, id: number): Promise<boolean> {
    const { js, items, subjects } = this.#streams;
    const isKeyed = isKeyToken(token);
    const subject = subjects.ready(isKeyed ? token : KEYLESS);
    const own = { headers: [ID, String(id)], messageId: `evenkeel-move-${id}` };
    const options = { what: `move item ${id}`, stream: items, expect: isKeyed ? 0 : undefined, tryTimeoutMs: 2000 };
    for (;;) {
      try {
        await js.publish(subject, body, { ...options, ...own });
        return true;
      } catch (error) {
        if (!isEvenkeelError(error, 'aborted')) throw error;
      }
      const holder = await this.#streams.item(subject);
      if (holder !== undefined) return idOf(holder) === id;
    }
  }
}
