/**
 * The way that needs nobody: what an operator writes on the machine itself, in a file or in the variable `EVENKEEL_KNOBS` before the start, is above all that
 * the store says. For the day on which the store, its credentials or the network to it are what is broken.
 *
 * One entry a line, or several with commas: `all=2`, `product:Search=3`, `Search/SkipRerank=on`, `=off`, `=128`; `#` begins a remark. An entry that is none
 * is told and left out, the others count: whoever types by hand at night should not lose all for one letter. The file is above the variable.
 */
import type { Timer } from '../core/clock.js';
import { invalidArgument } from '../core/errors.js';
import type { Runtime } from '../core/runtime.js';
import { isKnobName, MAX_DOSE } from './definition.js';
import { isLevel, NORMAL_LEVEL } from './level.js';
import { type Flip, isScope, type KnobFlip, type KnobSnapshot, type LevelFlip } from './snapshot.js';

export const BREAK_GLASS_VARIABLE = 'EVENKEEL_KNOBS';
const MAX_FILE_BYTES = 256 * 1024;
const LOOK_EVERY_MS = 2000;

export interface BreakGlassOptions {
  /** Undefined: only the variable counts. */
  readonly file: string | undefined;
  readonly runtime: Runtime;
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

export class BreakGlass {
  readonly #options: BreakGlassOptions;
  readonly #variable: string;
  #text = '';
  #snapshot: KnobSnapshot | undefined;
  #watch: Disposable | undefined;
  #timer: Timer | undefined;
  #isReading = false;
  #isClosed = false;

  constructor(options: BreakGlassOptions) {
    const { file, runtime } = options;
    this.#options = options;
    this.#variable = runtime.host.env(BREAK_GLASS_VARIABLE) ?? '';
    this.#take('');
    if (file === undefined) return;
    this.#watch = runtime.host.watchFile(file, () => void this.#read(file));
    queueMicrotask(() => void this.#read(file));
    this.#timer = this.#lookLater(file);
  }

  /** Undefined: the glass is whole. */
  get snapshot(): KnobSnapshot | undefined {
    return this.#snapshot;
  }

  /** It says something of that knob, which no policy is above. */
  holds(name: string): boolean {
    return this.#snapshot?.knobs.some(({ knob }) => knob === name) ?? false;
  }

  close(): void {
    this.#isClosed = true;
    this.#watch?.[Symbol.dispose]();
    this.#timer?.cancel();
  }

  /** Hints of changes may be lost. */
  #lookLater(file: string): Timer {
    return this.#options.runtime.clock.timer(LOOK_EVERY_MS, () => {
      this.#timer = this.#lookLater(file);
      void this.#read(file);
    });
  }

  async #read(file: string): Promise<void> {
    if (this.#isReading || this.#isClosed) return;
    this.#isReading = true;
    try {
      const bytes = await this.#options.runtime.host.readFile(file, MAX_FILE_BYTES);
      const text = bytes === undefined ? '' : new TextDecoder().decode(bytes);
      if (this.#isClosed || text === this.#text) return;
      this.#take(text);
      this.#options.onChange();
    } catch (error) {
      this.#options.onError(error);
    } finally {
      this.#isReading = false;
    }
  }

  #take(text: string): void {
    this.#text = text;
    this.#snapshot = parseBreakGlass(`${this.#variable}\n${text}`, this.#options.onError);
  }
}

/** What is in force: entries of the glass instead of those of the store for the same scope or knob. */
export function withBreakGlass(snapshot: KnobSnapshot, glass: KnobSnapshot | undefined): KnobSnapshot {
  if (glass === undefined) return snapshot;
  const scopes = new Set(glass.levels.map(({ scope }) => scope));
  const names = new Set(glass.knobs.map(({ knob }) => knob));
  return {
    levels: [...snapshot.levels.filter(({ scope }) => !scopes.has(scope)), ...glass.levels],
    knobs: [...snapshot.knobs.filter(({ knob }) => !names.has(knob)), ...glass.knobs],
  };
}

/** The last entry for a scope or knob counts. Undefined: there is none. */
export function parseBreakGlass(text: string, onError: (error: unknown) => void): KnobSnapshot | undefined {
  const levels = new Map<string, LevelFlip>();
  const knobs = new Map<string, KnobFlip>();
  for (const line of text.split(/\r?\n/)) {
    for (const entry of line.replace(/#.*/, '').split(',')) {
      const [name, value] = splitEntry(entry.trim());
      if (name === '') continue;
      const level = Number(value);
      const dose = doseOf(value);
      if (isScope(name) && isLevel(level)) levels.set(name, { ...FLIP, scope: name, level, from: NORMAL_LEVEL });
      else if (isKnobName(name) && dose !== undefined)
        knobs.set(name, { ...FLIP, knob: name, dose, from: undefined, requests: 1, cohorts: [] });
      else onError(invalidArgument('break-glass entry', entry.trim(), 'SCOPE=1 to 4, or Product/Feature=on, off or 0 to 255'));
    }
  }
  if (levels.size + knobs.size === 0) return undefined;
  return { levels: [...levels.values()], knobs: [...knobs.values()] };
}

const FLIP: Flip = {
  id: 'break-glass',
  actor: 'this machine',
  reason: 'break-glass',
  atMs: 0,
  ttlMs: 0,
  rampMs: 0,
  instances: 1,
};

/** At the last `=`: names of products may have one. */
function splitEntry(entry: string): [string, string] {
  const equals = entry.lastIndexOf('=');
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals).trim(), entry.slice(equals + 1).trim()];
}

function doseOf(value: string): number | undefined {
  if (value === 'on') return MAX_DOSE;
  if (value === 'off') return 0;
  return /^\d{1,3}$/.test(value) && Number(value) <= MAX_DOSE ? Number(value) : undefined;
}
