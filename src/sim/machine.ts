/**
 * A machine of the simulated world, and the processes that run on it one after the other.
 *
 * What does a crash take? Everything that a process has not given away: its timers never fire, its promises never settle, its calls
 * in flight are never answered. Code of a process that is gone may still run to the end of its turn, as a program does that is killed
 * between two instructions; nothing it then does reaches the world.
 */
import type { Clock, Timer } from '../core/clock.js';
import { sleepOn } from '../core/clock.js';
import { checkInteger, checkNumber, EvenkeelError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { createRuntime, type Runtime } from '../core/runtime.js';
import type { VirtualClock } from '../core/virtual-clock.js';
import { SimHost } from './host.js';

export interface MachineOptions {
  /** `continent/region/zone`, as endpoints write it. Default: none. */
  readonly locality?: string;
  /** Processors. Default 8. */
  readonly processors?: number;
  /** How fast its clock runs: 1.0001 gains 8.6 s a day. Default 1. */
  readonly clockRate?: number;
}

/** Which side of an operation a crash comes on: `before` it has any effect, or `after` its effect and before its answer is known. */
export type CrashSide = 'before' | 'after';

export class SimMachine {
  readonly name: string;
  readonly index: number;
  readonly locality: string | undefined;
  readonly host: SimHost;
  readonly clockRate: number;
  /** Added to the calendar, not to the monotonic clock. */
  wallOffsetMs = 0;
  readonly world: VirtualClock;
  readonly #random: Random;
  #process: SimProcess | undefined;
  #boots = 0;
  #resumeAtMs = 0;
  #held: (() => void)[] = [];

  constructor(world: VirtualClock, random: Random, name: string, index: number, options: MachineOptions) {
    this.world = world;
    this.#random = random;
    this.name = name;
    this.index = index;
    this.locality = options.locality;
    this.clockRate = checkNumber('clockRate', options.clockRate ?? 1, 0.5, 2);
    this.host = new SimHost(world, checkInteger('processors', options.processors ?? 8, 1));
  }

  /** The process that runs; the first is started by the first asking. */
  get process(): SimProcess {
    if (this.#process === undefined) return this.boot();
    return this.#process;
  }

  get isUp(): boolean {
    return this.#process?.isAlive === true;
  }

  /** Starts a process; the one before is killed. */
  boot(): SimProcess {
    this.crash();
    this.#process = new SimProcess(this, this.#random.fork(`boot ${this.#boots++}`));
    return this.#process;
  }

  /** Kills the process that runs. Files that were flushed stay. */
  crash(): void {
    if (this.#process?.isAlive !== true) return;
    this.#process.kill();
    this.host.crash();
    this.#held = [];
  }

  /** Stops it for `ms`, as a long garbage collection or SIGSTOP does: timers and messages wait, the clock goes on. */
  pause(ms: number): void {
    checkNumber('ms', ms, 0);
    const until = this.world.now() + ms;
    if (until <= this.#resumeAtMs) return;
    this.#resumeAtMs = until;
    this.world.timer(ms, () => this.#resume());
  }

  get isPaused(): boolean {
    return this.world.now() < this.#resumeAtMs;
  }

  /** Moves its calendar. */
  jumpWallTime(ms: number): void {
    this.wallOffsetMs += ms;
  }

  /** Runs `work` on the machine now, or when it goes on again. */
  enter(work: () => void): void {
    if (this.#resumeAtMs > 0 && this.isPaused) this.#held.push(work);
    else work();
  }

  #resume(): void {
    if (this.isPaused) return;
    this.#resumeAtMs = 0;
    for (const work of this.#held.splice(0)) work();
  }
}

export class SimProcess {
  readonly machine: SimMachine;
  readonly runtime: Runtime;
  readonly random: Random;
  isAlive = true;
  /** Transport operations done so far. */
  operations = 0;
  #crashAt = Number.POSITIVE_INFINITY;
  #crashSide: CrashSide = 'before';
  readonly #onKill: (() => void)[] = [];

  constructor(machine: SimMachine, random: Random) {
    this.machine = machine;
    this.random = random;
    const clock = new ProcessClock(this);
    this.runtime = createRuntime({ clock, random: random.fork('runtime'), host: machine.host });
  }

  /** Plans a crash at the `count`-th transport operation from now (1: the next). */
  crashAtOperation(count: number, side: CrashSide = 'before'): void {
    this.#crashAt = this.operations + checkInteger('count', count, 1);
    this.#crashSide = side;
  }

  /**
   * Does a transport operation; every transport of the process passes through here. Undefined when the process is gone, by this
   * operation perhaps.
   */
  operate<T>(operation: () => T): T | undefined {
    if (!this.isAlive) return undefined;
    if (++this.operations < this.#crashAt) return operation();
    this.#crashAt = Number.POSITIVE_INFINITY;
    if (this.#crashSide === 'after') operation();
    this.machine.crash();
    return undefined;
  }

  /** Runs `work` in this process, unless it is gone by then. */
  enter(work: () => void): void {
    if (!this.isAlive) return;
    this.machine.enter(() => {
      if (this.isAlive) work();
    });
  }

  /** For transports: the process dies. */
  onKill(react: () => void): void {
    this.#onKill.push(react);
  }

  kill(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const react of this.#onKill.splice(0)) react();
  }
}

/** The machine's clock as one process sees it. */
class ProcessClock implements Clock {
  readonly #process: SimProcess;
  readonly #machine: SimMachine;
  readonly #world: VirtualClock;
  readonly #rate: number;

  constructor(process: SimProcess) {
    this.#process = process;
    this.#machine = process.machine;
    this.#world = process.machine.world;
    this.#rate = process.machine.clockRate;
  }

  now(): number {
    return this.#world.now() * this.#rate;
  }

  coarse(): number {
    return this.#world.now() * this.#rate;
  }

  wallTime(): number {
    return this.#world.wallTime() + this.#world.now() * (this.#rate - 1) + this.#machine.wallOffsetMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  timer(ms: number, fire: () => void): Timer {
    if (!this.#process.isAlive) return NO_TIMER;
    let isCancelled = false;
    const timer = this.#world.timer(ms / this.#rate, () =>
      this.#process.enter(() => {
        if (!isCancelled) fire();
      }),
    );
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }
}

const NO_TIMER: Timer = { cancel() {} };

/** What a process tells of a machine that is not there. */
export function nobodyListens(address: string): EvenkeelError {
  return new EvenkeelError('unavailable', `nobody listens at ${address}`, { retryable: 'yes' });
}
