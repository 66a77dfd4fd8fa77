/**
 * What became of every call: begun once, settled once, in time, and done no more often than its attempts.
 *
 * Which calls may stay open? Those of a process that died: nobody is there to be told.
 */
import type { SimProcess } from '../machine.js';
import type { Pauses } from './pauses.js';

interface OpenCall {
  readonly id: number;
  readonly process: SimProcess;
  readonly startedAtMs: number;
  isSettled: boolean;
}

/** A tick of the router's wheel, the rounding of its clock, and a little. */
const MARGIN_MS = 25;

export class CallLedger {
  readonly problems: string[] = [];
  begun = 0;
  settled = 0;
  /** Attempts of settled calls. */
  attempts = 0;
  /** How often servers did a call, by its number. */
  readonly #done = new Map<number, number>();
  readonly #open = new Set<OpenCall>();
  readonly #timeoutMs: number;
  readonly #pauses: Pauses;
  /** How often the network delivered a call that was sent once more than that. */
  readonly #doubled = new Map<number, number>();

  constructor(timeoutMs: number, pauses: Pauses) {
    this.#timeoutMs = timeoutMs;
    this.#pauses = pauses;
  }

  begin(process: SimProcess): OpenCall {
    const call = { id: this.begun++, process, startedAtMs: process.machine.world.now(), isSettled: false };
    this.#open.add(call);
    return call;
  }

  /** A server begins to do the call. */
  served(id: number, isRepeatable: boolean): void {
    const times = (this.#done.get(id) ?? 0) + 1;
    this.#done.set(id, times);
    // Its caller had said that this is not harmless.
    if (!isRepeatable && times > 1 + (this.#doubled.get(id) ?? 0))
      this.blame(`call ${id} may be done once and was done ${times} times`);
  }

  /** The network delivers the call twice. */
  doubled(id: number): void {
    this.#doubled.set(id, (this.#doubled.get(id) ?? 0) + 1);
  }

  settle(call: OpenCall, attempts: number): void {
    const { id, process, startedAtMs } = call;
    if (call.isSettled) {
      this.blame(`call ${id} settled twice`);
      return;
    }
    call.isSettled = true;
    this.#open.delete(call);
    if (!process.isAlive) return;
    this.settled++;
    this.attempts += attempts;
    const { world } = process.machine;
    const late = world.now() - startedAtMs - this.#pauses.within(process.machine, startedAtMs) - 1.01 * this.#timeoutMs;
    if (late > MARGIN_MS) this.blame(`call ${id} settled ${late.toFixed(1)} ms after its deadline`);
  }

  /** After all that was under way has ended. */
  close(): void {
    for (const { id, process } of this.#open) if (process.isAlive) this.blame(`call ${id} was never settled`);
  }

  blame(problem: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(problem);
  }
}

const MAX_PROBLEMS = 20;
