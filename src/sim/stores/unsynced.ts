/**
 * A store that flushes now and then, and what a crash leaves of it: all that was flushed, and of the rest what the store says.
 *
 * The content is copied at each flush, so it costs its size once every `loseUnsyncedMs` in which something was written.
 */
import type { Timer } from '../../core/clock.js';
import { checkNumber } from '../../core/errors.js';
import type { SimMachine } from '../machine.js';

export interface UnsyncedOptions {
  /**
   * The store answers before its writes are on the disk, and flushes this often, in milliseconds: a crash of its machine takes what came
   * since. Default: nothing is lost.
   */
  readonly loseUnsyncedMs?: number;
  /** With `loseUnsyncedMs`: the last write that was not flushed is left half done. Default false. */
  readonly tearsLastWrite?: boolean;
}

export class Unsynced<Image> {
  readonly #machine: SimMachine;
  readonly #everyMs: number | undefined;
  readonly #image: () => Image;
  #flushed: Image;
  #timer: Timer | undefined;

  constructor(machine: SimMachine, { loseUnsyncedMs }: UnsyncedOptions, image: () => Image) {
    this.#machine = machine;
    this.#everyMs = loseUnsyncedMs === undefined ? undefined : checkNumber('loseUnsyncedMs', loseUnsyncedMs, 1);
    this.#image = image;
    this.#flushed = image();
  }

  /** Something is about to be written. */
  touch(): void {
    if (this.#everyMs === undefined || this.#timer !== undefined) return;
    this.#timer = this.#machine.clock.timer(this.#everyMs, () => {
      this.#timer = undefined;
      this.#flushed = this.#image();
    });
  }

  /** The machine crashed. What is on the disk, or undefined when nothing was lost. */
  crash(): Image | undefined {
    if (this.#timer === undefined) return undefined;
    this.#timer.cancel();
    this.#timer = undefined;
    return this.#flushed;
  }
}
