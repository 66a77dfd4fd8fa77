/** The knobs of a process by name, and what they were defined as: one hash says whether two processes run the same. */
import { EvenkeelError, invalidArgument } from '../core/errors.js';
import { isKnobName, type KnobDefinition } from './definition.js';
import { hashOf } from './hash.js';
import type { TableKnob } from './knob.js';
import { MAX_KNOBS } from './knob-table.js';

export class Registry {
  readonly #knobs = new Map<string, TableKnob>();
  readonly #buried: ReadonlySet<string>;
  #hash: string | undefined;

  /** @throws {EvenkeelError} `invalid-argument` for a buried name that is none. */
  constructor(buried: readonly string[]) {
    for (const name of buried) if (!isKnobName(name)) throw invalidArgument('buried', name, "'Product/Feature'");
    this.#buried = new Set(buried);
  }

  /** Of names, levels and whose they are, in order of name: what an operator's flip depends on. */
  get hash(): string {
    this.#hash ??= hashOfAll([...this.#knobs.values()].map(({ definition }) => definition));
    return this.#hash;
  }

  [Symbol.iterator](): IterableIterator<TableKnob> {
    return this.#knobs.values();
  }

  /** @throws {EvenkeelError} `already-exists`, `failed-precondition` for a buried name, `resource-exhausted` for one too many. */
  check(name: string): void {
    if (this.#knobs.has(name)) throw new EvenkeelError('already-exists', `the knob ${name} is defined twice`);
    if (this.#buried.has(name))
      throw new EvenkeelError('failed-precondition', `the name ${name} is buried: it meant something else; take another`);
    if (this.#knobs.size >= MAX_KNOBS) throw new EvenkeelError('resource-exhausted', `more than ${MAX_KNOBS} knobs`);
  }

  add(knob: TableKnob): void {
    this.#knobs.set(knob.name, knob);
    this.#hash = undefined;
  }
}

function hashOfAll(definitions: readonly KnobDefinition[]): string {
  const rows = definitions.map(({ doses, feature, level, name, product }) =>
    [name, level, product, feature, ...doses].join('\n'),
  );
  const text = rows.sort().join('\n\n');
  return [0, 1].map((seed) => hashOf(text, seed).toString(16).padStart(8, '0')).join('');
}
