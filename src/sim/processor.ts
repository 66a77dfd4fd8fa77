/**
 * What a server does with its work: how fast, how much at once. A model of service, in virtual time.
 *
 * Work is in milliseconds of one undisturbed processor of speed 1.
 */
import type { VirtualClock } from '../core/virtual-clock.js';

/** Work being done. */
export interface Job {
  /** Gives it up; its `onDone` is not called. */
  cancel(): void;
}

export interface Processor {
  /** Begins `workMs`; `memory` is the share of the machine's memory bandwidth it takes while it runs. */
  start(workMs: number, onDone: () => void, memory?: number): Job;
  /** Jobs begun and not done. */
  readonly inFlight: number;
  /** Processor time given to jobs so far, milliseconds: its slope over the slots is the utilisation that the owner's work makes. */
  readonly busyMs: number;
  /** As the operating system shows it: antagonists count, and so do processors that stand still for memory. */
  readonly cpuMs: number;
  /** Speed now, as a share of that of an undisturbed machine of speed 1 with all its slots: for policies that know everything. */
  readonly freeSpeed: number;
}

/** Who else uses the machine: the share of its processors taken now, and when that changes. */
export interface Antagonist {
  /** 0 to 1. */
  readonly share: number;
  /** Called after each change. */
  onChange: (() => void) | undefined;
}

/** Takes a share of the processors for a while, and then none, by turns of random length. */
export function onOffAntagonist(
  world: VirtualClock,
  draw: { readonly onMs: () => number; readonly offMs: () => number; readonly share: () => number; readonly startsOn: boolean },
): Antagonist {
  const antagonist = { share: 0, onChange: undefined as (() => void) | undefined };
  const turn = (isOn: boolean) => {
    antagonist.share = isOn ? draw.share() : 0;
    antagonist.onChange?.();
    world.timer(isOn ? draw.onMs() : draw.offMs(), () => turn(!isOn));
  };
  turn(draw.startsOn);
  return antagonist;
}

/**
 * How much slower memory makes every job: 1 up to `knee` of the bandwidth, then exponentially more. 65 to 70 % is where latency began
 * to rise in Meta's measurements, and it shows as CPU use: processors stand still while they wait.
 * @see Meta, "Taming the tail utilization of ads inference", memory bandwidth
 */
export function memoryStall(utilization: number, knee = 0.67): number {
  return utilization <= knee ? 1 : Math.exp((utilization - knee) * MEMORY_STEEPNESS);
}

/** At 100 % of the bandwidth jobs take 5 times as long. */
const MEMORY_STEEPNESS = Math.log(5) / (1 - 0.67);
