/**
 * A replica kept at the head of its folder: catches up, commits, starts anew after a gap.
 *
 * Nothing here runs twice at once: the caller waits for each step before the next.
 */
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import type { StateChange } from '../../core/internal/state-watch.js';
import type { StateFolder, StateListing } from './state-folder.js';
import type { CommitEntry } from './state-format.js';
import { StateReplica } from './state-replica.js';

/** Another process may compact while this one loads. */
const LOAD_TRIES = 5;
/** Commits after a snapshot before there is another: that many files are read when the store is opened. */
const COMPACT_EVERY_COMMITS = 1000;
/** A large store is not written again for every thousand small changes. */
const COMPACT_AT_LATEST_COMMITS = 10_000;

export class StateLog {
  readonly #folder: StateFolder;
  readonly #now: () => number;
  readonly #tell: (change: StateChange) => void;
  #replica: StateReplica | undefined;
  #commitsSinceSnapshot = 0;
  #bytesSinceSnapshot = 0;

  /** @param tell - Hears of each change to the replica it has. Another replica than before is another list. */
  constructor(folder: StateFolder, now: () => number, tell: (change: StateChange) => void) {
    this.#folder = folder;
    this.#now = now;
    this.#tell = tell;
  }

  /** Undefined before the first `catchUp`. */
  get replica(): StateReplica | undefined {
    return this.#replica;
  }

  /** Reads what others have committed, up to the head as it was when this began, at least. */
  async catchUp(): Promise<StateReplica> {
    if (this.#replica === undefined) return this.#load();
    const replica = this.#replica;
    for (;;) {
      const commit = await this.#folder.readCommit(replica.revision + 1);
      // Also behind one that was read: it may be what a late process linked onto a name that compaction had freed.
      if (!(await this.#isAtHead(replica)) || (commit !== undefined && commit.epoch !== replica.epoch)) return this.#load();
      if (commit === undefined) return replica;
      replica.apply(commit, this.#now(), this.#tell);
      this.#count(commit.entries);
    }
  }

  /**
   * Commits at the next revision. False: somebody else has it; catch up and look again.
   * @throws {EvenkeelError} `unavailable`, retryable `unknown`, when this process slept through so many commits that it cannot tell
   *   whether its own was among them.
   */
  async commit(replica: StateReplica, entries: readonly CommitEntry[]): Promise<boolean> {
    if (!(await this.#isAtHead(replica))) return false;
    const commit = { epoch: replica.epoch, firstRevision: replica.revision + 1, entries };
    // Asked again while the commit is synced.
    let isStillAtHead = false;
    const lookBack = async () => {
      isStillAtHead = await this.#isAtHead(replica);
    };
    if (!(await this.#folder.writeCommit(commit, lookBack))) return false;
    if (!isStillAtHead) {
      // Its name was free because compaction had removed it: it is no part of the history.
      await this.#folder.withdraw(commit.firstRevision);
      await this.#load();
      throw new EvenkeelError('unavailable', 'the store was compacted beyond this process while it committed', {
        retryable: 'unknown',
      });
    }
    replica.apply(commit, this.#now(), this.#tell);
    this.#count(entries);
    return true;
  }

  /** Writes a snapshot when enough has been committed since the last. */
  async compactIfDue(): Promise<void> {
    const replica = this.#replica;
    const commits = this.#commitsSinceSnapshot;
    if (replica === undefined || commits < COMPACT_EVERY_COMMITS) return;
    if (this.#bytesSinceSnapshot < replica.bytes / 2 && commits < COMPACT_AT_LATEST_COMMITS) return;
    // Before the attempt: one that fails (a full disk, say) is not made again at every commit.
    this.#commitsSinceSnapshot = 0;
    this.#bytesSinceSnapshot = 0;
    const { epoch, revision } = replica;
    await this.#folder.compact({ epoch, revision, records: replica.list('') });
  }

  /**
   * While the newest commit known is there, no later one has been removed: a missing next one then means the head. The one before it
   * shows that the newest is not what a late process linked onto its name: there all around are gone.
   */
  async #isAtHead({ headName, previousName, revision }: StateReplica): Promise<boolean> {
    if (headName > 0) {
      return (await this.#folder.hasCommit(headName)) && (previousName === 0 || this.#folder.hasCommit(previousName));
    }
    const { commits, snapshots } = await this.#folder.list();
    return Math.max(0, ...snapshots) <= revision && (commits[0] ?? 1) === 1;
  }

  async #load(): Promise<StateReplica> {
    let failure: unknown;
    for (let tries = 0; tries < LOAD_TRIES; tries++) {
      try {
        const replica = await this.#read(await this.#folder.open(), await this.#folder.list());
        this.#replica = replica;
        return replica;
      } catch (error) {
        failure = error;
        // Files may go while they are read; what is still damaged the last time is damaged.
        if (!isEvenkeelError(error, 'data-loss')) throw error;
      }
    }
    throw failure;
  }

  async #read(epoch: string, { commits, snapshots }: StateListing): Promise<StateReplica> {
    const replica = new StateReplica(epoch, await this.#newestSnapshot(epoch, snapshots), this.#now());
    this.#commitsSinceSnapshot = 0;
    this.#bytesSinceSnapshot = 0;
    // A commit of several entries may begin before the snapshot's revision only if it ends there: a snapshot shows whole commits.
    const head = commits.findLastIndex((name) => name <= replica.revision);
    replica.headName = commits[head] ?? 0;
    replica.previousName = commits[head - 1] ?? 0;
    for (const name of commits) {
      if (name <= replica.revision) continue;
      const commit = await this.#folder.readCommit(name);
      if (commit === undefined) throw new EvenkeelError('data-loss', `commit ${name} went while it was read`);
      replica.apply(commit, this.#now(), () => {});
      this.#count(commit.entries);
    }
    return replica;
  }

  /** A damaged snapshot is passed over for an older one: the commits since that one are still there. */
  async #newestSnapshot(epoch: string, snapshots: readonly number[]) {
    let failure: unknown;
    for (const revision of [...snapshots].reverse()) {
      try {
        const snapshot = await this.#folder.readSnapshot(revision);
        if (snapshot?.epoch === epoch) return snapshot;
      } catch (error) {
        if (!isEvenkeelError(error, 'data-loss')) throw error;
        failure = error;
      }
    }
    // Without any the history begins at revision 1, and apply() finds out if it does not.
    if (failure !== undefined && snapshots.length > 1) throw failure;
    return undefined;
  }

  #count(entries: readonly CommitEntry[]): void {
    this.#commitsSinceSnapshot++;
    for (const entry of entries)
      this.#bytesSinceSnapshot += entry.key.length + (entry.type === 'put' ? entry.value.byteLength : 0);
  }
}
