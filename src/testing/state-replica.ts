/** A copy of what a watch tells, which checks the grammar of its events on the way. */
import assert from 'node:assert/strict';
import type { StateEvent, StateTransport, Watch } from '../core/transport/state.js';
import { textOf } from './conformance.js';

export class Replica {
  readonly events: StateEvent[] = [];
  readonly watch: Watch;
  isSynced = false;
  /** The highest revision told by anything but the list. */
  revision = 0;
  readonly #values = new Map<string, string>();
  /** The first breach of the contract; a throw inside a listener would be swallowed. */
  #breach: unknown;
  #changed = 0;

  constructor(state: StateTransport, prefix: string) {
    this.watch = state.watch(prefix, (event) => {
      this.events.push(event);
      try {
        this.#take(event, prefix);
      } catch (error) {
        this.#breach ??= error;
      }
    });
  }

  get keys(): string[] {
    this.#check();
    return [...this.#values.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  toObject(): Record<string, string> {
    return Object.fromEntries(this.keys.map((key) => [key, this.#values.get(key) ?? '']));
  }

  close(): void {
    this.watch.close();
    this.#check();
  }

  #check(): void {
    if (this.#breach !== undefined) throw this.#breach;
  }

  #take(event: StateEvent, prefix: string): void {
    const { type, entry, revision } = event;
    if (type === 'reset') {
      this.isSynced = false;
      this.#changed = 0;
      this.#values.clear();
      return;
    }
    if (type === 'synced' || type === 'head') {
      assert.equal(this.isSynced, type === 'head', type === 'head' ? 'a head before synced' : 'synced twice');
      assert.ok(revision >= this.#changed, `${type} at ${revision} after ${this.#changed}`);
      this.isSynced = true;
      this.revision = Math.max(this.revision, revision);
      return;
    }
    assert.ok(entry !== undefined, `${type} without an entry`);
    assert.ok(entry.key.startsWith(prefix), `${type} of ${entry.key}, which is not below ${prefix}`);
    assert.ok(revision > this.#changed, `${type} ${entry.key} at ${revision} after ${this.#changed}`);
    this.#changed = revision;
    if (this.isSynced) this.revision = revision;
    if (type === 'put') {
      assert.equal(entry.revision, revision, 'a put is told at the revision of its entry');
      this.#values.set(entry.key, textOf(entry.value) ?? '');
    } else {
      assert.ok(this.isSynced, `${type} inside the list`);
      this.#values.delete(entry.key);
    }
  }
}
