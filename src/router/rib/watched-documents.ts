/**
 * One watch, as three things that happen to documents: there, gone, and all known. Lists after a gap become changes, duplicates
 * and late ones are left out.
 */
import type { StateEntry, StateEvent, StateTransport, Watch } from '../../core/transport/state.js';

export interface DocumentListener {
  onPut(entry: StateEntry): void;
  /** @param isWithdrawal - Its holder deleted it; else its lease ran out, or it was missing after a gap. */
  onGone(key: string, isWithdrawal: boolean): void;
  /** The list is complete, for the first time or after a gap. */
  onSynced?(): void;
  /** The list is of another history of the store: it was emptied or restored. Before what is listed is told. */
  onRestart?(): void;
}

export class WatchedDocuments {
  readonly #listener: DocumentListener;
  readonly #watch: Watch;
  readonly #keys = new Set<string>();
  /** Known before a gap and not listed again yet; undefined while there is no gap. */
  #unseen: Set<string> | undefined = new Set();
  #revision = 0;
  #epoch = '';

  /** @throws What `state.watch` throws. */
  constructor(state: StateTransport, prefix: string, listener: DocumentListener) {
    this.#listener = listener;
    this.#watch = state.watch(prefix, this.#onEvent);
  }

  /** True once the first list is complete, and between two lists. */
  get isComplete(): boolean {
    return this.#unseen === undefined;
  }

  get ageMs(): number {
    return this.#watch.ageMs;
  }

  close(): void {
    this.#watch.close();
  }

  readonly #onEvent = ({ type, entry, revision, epoch }: StateEvent): void => {
    switch (type) {
      case 'reset':
        this.#unseen = new Set(this.#keys);
        if (this.#epoch !== '' && epoch !== this.#epoch) this.#listener.onRestart?.();
        this.#epoch = epoch;
        return;
      case 'synced':
        this.#revision = revision;
        this.#epoch = epoch;
        this.#sync();
        return;
      case 'head':
        return;
      default:
        if (entry !== undefined && this.#isNews(revision, epoch)) this.#change(type, entry);
    }
  };

  #isNews(revision: number, epoch: string): boolean {
    if (this.#unseen !== undefined) return true;
    if (epoch === this.#epoch && revision <= this.#revision) return false;
    this.#revision = revision;
    this.#epoch = epoch;
    return true;
  }

  #change(type: 'put' | 'delete' | 'expired', entry: StateEntry): void {
    this.#unseen?.delete(entry.key);
    if (type === 'put') {
      this.#keys.add(entry.key);
      this.#listener.onPut(entry);
    } else if (this.#keys.delete(entry.key)) {
      this.#listener.onGone(entry.key, type === 'delete');
    }
  }

  #sync(): void {
    for (const key of this.#unseen ?? []) {
      this.#keys.delete(key);
      this.#listener.onGone(key, false);
    }
    this.#unseen = undefined;
    this.#listener.onSynced?.();
  }
}
