/**
 * A machine of the simulated world, and the processes that run on it one after the other.
 *
 * What does a crash take? Everything that a process has not given away: its timers never fire, its promises never settle, its calls
 * in flight are never answered. Code of a process that is gone may still run to the end of its turn, as a program does that is killed
 * between two instructions; nothing it then does reaches the world.
 */
import type { Clock } from '../core/clock.js';
import { checkInteger, checkNumber, EvenkeelError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { createRuntime, type Runtime } from '../core/runtime.js';
import type { VirtualClock } from '../core/virtual-clock.js';
import { SimHost } from './host.js';
import { ProcessHost } from './process-host.js';
import { SimClock } from './sim-clock.js';

export interface MachineOptions {
  /** `continent/region/zone`, as endpoints write it. Default: none. */
  readonly locality?: string;
  /** Processors. Default 8. */
  readonly processors?: number;
  /** How fast its clock runs: 1.0001 gains 8.6 s a day. 0.5 to 2; default 1. */
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
  /** Goes on whatever becomes of processes, but for pauses: the clock of durable things. */
  readonly clock: Clock;
  readonly #random: Random;
  #process: SimProcess | undefined;
  #boots = 0;
  #resumeAtMs = 0;
  #held: (() => void)[] = [];
  readonly #programs: ((process: SimProcess) => void)[] = [];

  constructor(world: VirtualClock, random: Random, name: string, index: number, options: MachineOptions) {
    this.world = world;
    this.#random = random;
    this.name = name;
    this.index = index;
    this.locality = options.locality;
    this.clockRate = checkNumber('clockRate', options.clockRate ?? 1, 0.5, 2);
    this.host = new SimHost(world, checkInteger('processors', options.processors ?? 8, 1));
    this.clock = new SimClock(this, (work) => this.enter(work));
  }

  /** The latest process, alive or dead; the first is started by the first asking. */
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
    const process = new SimProcess(this, this.#random.fork(`boot ${this.#boots++}`));
    this.#process = process;
    for (const program of this.#programs) program(process);
    return process;
  }

  /** What every process of the machine does first; the one that runs does it now. */
  onBoot(program: (process: SimProcess) => void): void {
    this.#programs.push(program);
    if (this.#process?.isAlive === true) program(this.#process);
  }

  /** Kills the process that runs. Files that were flushed stay. Ends a pause: what is dead does not stand still. */
  crash(): void {
    if (this.#process?.isAlive !== true) return;
    this.#process.kill();
    this.#resumeAtMs = 0;
    this.#goOn();
  }

  /** Stops it for `ms`, as a long garbage collection or SIGSTOP does: timers and messages wait, the clock goes on. */
  pause(ms: number): void {
    checkNumber('ms', ms, 0);
    const until = this.world.now() + ms;
    if (until <= this.#resumeAtMs) return;
    this.#resumeAtMs = until;
    this.world.timer(ms, () => {
      if (!this.isPaused) this.#goOn();
    });
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

  #goOn(): void {
    // By the front door: any of it may stop the machine again.
    for (const work of this.#held.splice(0)) this.enter(work);
  }
}

export class SimProcess {
  readonly machine: SimMachine;
  readonly runtime: Runtime;
  readonly random: Random;
  isAlive = true;
  /** Operations done so far: of transports, and of the host. */
  operations = 0;
  #crashAt = Number.POSITIVE_INFINITY;
  #crashSide: CrashSide = 'before';
  readonly #onKill = new Set<() => void>();

  constructor(machine: SimMachine, random: Random) {
    this.machine = machine;
    this.random = random;
    this.runtime = createRuntime({
      clock: new SimClock(machine, (work) => this.enter(work)),
      random: random.fork('runtime'),
      host: new ProcessHost(this, machine.host),
    });
  }

  /** Plans a crash at the `count`-th operation from now (1: the next). @returns Takes the plan back. */
  crashAtOperation(count: number, side: CrashSide = 'before'): () => void {
    this.#crashAt = this.operations + checkInteger('count', count, 1);
    this.#crashSide = side;
    return () => {
      this.#crashAt = Number.POSITIVE_INFINITY;
    };
  }

  /**
   * Does an operation; every transport of the process, and its host, passes through here. Undefined when the process is gone, by this
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

  /** For what holds something of the world on its behalf: the process dies. @returns Forgets it. */
  onKill(react: () => void): () => void {
    this.#onKill.add(react);
    return () => this.#onKill.delete(react);
  }

  kill(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const react of this.#onKill) react();
    this.#onKill.clear();
  }
}

/** What a process tells of a machine that is not there. */
export function nobodyListens(address: string): EvenkeelError {
  return new EvenkeelError('unavailable', `nobody listens at ${address}`, { retryable: 'yes' });
}
