/**
 * The turns of one process at a state folder: one after the other, each serves everything that waits.
 *
 * What does a reader wait for? A turn that began after it asked: what was committed before is then seen, whoever committed it.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { EvenkeelError } from '../../core/errors.js';
import { fileError } from '../../core/internal/file-error.js';
import type { StateChange, StateRecord, StateSource } from '../../core/internal/state-watch.js';
import type { StateFolder } from './state-folder.js';
import { StateLog } from './state-log.js';
import type { StateReplica } from './state-replica.js';
import { planCommit, type StateBounds, type StateWrite, WaitingWrites } from './state-writes.js';

/** How often a watched folder is looked at, whether or not the system said that something changed there. */
const POLL_MS = 50;
/** After a failure; a disk that is gone is not asked twenty times a second. */
const POLL_AFTER_FAILURE_MS = 500;
/** Races lost in a row before the write is given back to its caller. */
const MAX_LOST_RACES = 1000;

interface Reader {
  resolve(replica: StateReplica): void;
  reject(error: EvenkeelError): void;
}

export class FileStateStore implements StateSource {
  readonly #clock: Clock;
  readonly #folder: StateFolder;
  readonly #log: StateLog;
  readonly #bounds: StateBounds;
  readonly #watchFolder: (onChange: () => void) => Disposable;
  readonly #writes = new WaitingWrites();
  readonly #listeners = new Set<(change: StateChange) => void>();
  #readers: Reader[] = [];
  #isTurning = false;
  #turns: Promise<void> | undefined;
  #mustLook = false;
  #mustCatchUp = true;
  /** What listeners were told of last; another one begins with a list. */
  #listed: StateReplica | undefined;
  #provenAtMs: number | undefined;
  #watcher: Disposable | undefined;
  #poll: Timer | undefined;
  #isClosed = false;

  constructor(clock: Clock, folder: StateFolder, bounds: StateBounds, watchFolder: (onChange: () => void) => Disposable) {
    this.#clock = clock;
    this.#folder = folder;
    this.#bounds = bounds;
    this.#watchFolder = watchFolder;
    this.#log = new StateLog(
      folder,
      () => clock.now(),
      (change) => this.#tell(change),
    );
  }

  get epoch(): string {
    return this.#log.replica?.epoch ?? '';
  }

  get revision(): number {
    return this.#log.replica?.revision ?? 0;
  }

  get provenAtMs(): number | undefined {
    return this.#provenAtMs;
  }

  list(prefix: string): StateRecord[] {
    const now = this.#clock.now();
    return this.#log.replica?.list(prefix).filter(({ key }) => this.#log.replica?.get(key, now) !== undefined) ?? [];
  }

  /** From the first listener on the folder is watched. */
  subscribe(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#look();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopLooking();
    };
  }

  /** The document as of now or later. */
  async get(key: string, signal: AbortSignal | undefined): Promise<StateRecord | undefined> {
    const replica = await this.#caughtUp(signal);
    return replica.get(key, this.#clock.now());
  }

  write(write: StateWrite): Promise<number> {
    this.#writes.add(write);
    this.#takeTurns();
    return write.done;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopLooking();
    const error = new EvenkeelError('failed-precondition', 'the state transport is closed');
    for (const write of this.#writes.takeAll()) write.reject(error);
    await this.#turns;
    await this.#folder.close();
  }

  #caughtUp(signal: AbortSignal | undefined): Promise<StateReplica> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(new EvenkeelError('cancelled', 'the read was cancelled', { cause: signal?.reason }));
      const settle = <T>(end: (value: T) => void) => {
        return (value: T) => {
          signal?.removeEventListener('abort', onAbort);
          end(value);
        };
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#readers.push({ resolve: settle(resolve), reject: settle(reject) });
      this.#takeTurns();
    });
  }

  #takeTurns(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    this.#turns = this.#runTurns();
  }

  async #runTurns(): Promise<void> {
    let hasFailed = false;
    while (this.#readers.length > 0 || this.#writes.size > 0 || this.#mustLook) {
      const readers = this.#readers;
      this.#readers = [];
      const writes = this.#writes.take();
      const mustLook = this.#mustLook || readers.length > 0;
      this.#mustLook = false;
      try {
        // After a failure nothing is taken for granted.
        if (mustLook || this.#mustCatchUp) await this.#catchUp();
        this.#mustCatchUp = false;
        for (const reader of readers) reader.resolve(this.#log.replica as StateReplica);
        await this.#commit(writes);
        await this.#log.compactIfDue();
        hasFailed = false;
      } catch (cause) {
        hasFailed = true;
        this.#mustCatchUp = true;
        const { path } = this.#folder;
        for (const reader of readers) reader.reject(fileError('read', path, cause, 'yes'));
        // The last step may have been done, and only its answer lost.
        for (const write of writes) write.reject(fileError('write to', path, cause, 'unknown'));
      }
    }
    // At once: what asks from here on begins the next turns.
    this.#isTurning = false;
    if (hasFailed) this.#watchAnew();
    this.#armPoll(hasFailed ? POLL_AFTER_FAILURE_MS : POLL_MS);
  }

  async #catchUp(): Promise<StateReplica> {
    const askedAt = this.#clock.now();
    const replica = await this.#log.catchUp();
    this.#provenAtMs = askedAt;
    if (replica !== this.#listed) {
      this.#listed = replica;
      this.#tell({ type: 'reset' });
    }
    return replica;
  }

  #tell(change: StateChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** The documents as this process knows them will do for a write that they allow: the race for the revision finds out. */
  async #commit(waiting: readonly StateWrite[]): Promise<void> {
    let writes = waiting;
    let isFresh = false;
    for (let tries = 0; tries < MAX_LOST_RACES; tries++) {
      const replica = this.#log.replica as StateReplica;
      const now = this.#clock.now();
      writes = writes.filter(({ isSettled }) => !isSettled);
      const hasListeners = this.#listeners.size > 0;
      if (writes.length === 0 && !(hasListeners && (replica.nextLeaseEndMs ?? Number.POSITIVE_INFINITY) <= now)) return;
      const plan = planCommit(replica, writes, this.#bounds, now);
      let isCommitted = false;
      try {
        if (plan.refused.length === 0 || isFresh) {
          for (const write of plan.accepted) write.take();
          isCommitted = plan.entries.length === 0 || (await this.#log.commit(replica, plan.entries));
        }
      } finally {
        if (!isCommitted) replica.giveBack(plan.due);
      }
      if (isCommitted) {
        const first = this.revision - plan.accepted.length + 1;
        plan.accepted.forEach((write, i) => {
          write.resolve(first + i);
        });
        // A delete of what is absent is no change: its revision is 0.
        for (const { write, error } of plan.refused) error === undefined ? write.resolve(0) : write.reject(error);
        if (plan.entries.length > 0) this.#provenAtMs = now;
        return;
      }
      await this.#catchUp();
      isFresh = true;
    }
    const busy = new EvenkeelError('unavailable', `others committed first, ${MAX_LOST_RACES} times`, { retryable: 'yes' });
    for (const write of writes) write.reject(busy);
  }

  // While somebody watches.

  #look(): void {
    this.#watcher = this.#watchFolder(() => this.#lookNow());
    this.#lookNow();
  }

  #lookNow(): void {
    if (this.#isClosed || this.#listeners.size === 0) return;
    this.#mustLook = true;
    this.#takeTurns();
  }

  #stopLooking(): void {
    this.#watcher?.[Symbol.dispose]();
    this.#watcher = undefined;
    this.#poll?.cancel();
    this.#poll = undefined;
  }

  #armPoll(ms: number): void {
    if (this.#isClosed || this.#listeners.size === 0) return;
    this.#poll?.cancel();
    const leaseEnd = this.#log.replica?.nextLeaseEndMs ?? Number.POSITIVE_INFINITY;
    const untilLeaseEnd = Math.max(1, leaseEnd - this.#clock.now());
    this.#poll = this.#clock.timer(Math.min(ms, untilLeaseEnd), () => this.#lookNow());
  }

  /** The folder may not have been there, or be another one now. */
  #watchAnew(): void {
    if (this.#watcher === undefined) return;
    this.#watcher[Symbol.dispose]();
    this.#watcher = this.#watchFolder(() => this.#lookNow());
  }
}
