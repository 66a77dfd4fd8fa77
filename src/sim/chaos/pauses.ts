/** When machines stood still: nobody who was stopped is late. */
import type { SimMachine } from '../machine.js';

export class Pauses {
  readonly #spans = new Map<SimMachine, { fromMs: number; toMs: number }[]>();

  pause(machine: SimMachine, ms: number): void {
    if (!machine.isUp) return;
    machine.pause(ms);
    const fromMs = machine.world.now();
    const spans = this.#spans.get(machine) ?? [];
    spans.push({ fromMs, toMs: fromMs + ms });
    this.#spans.set(machine, spans);
  }

  /** Milliseconds that `machine` may have stood still since `sinceMs`. */
  within(machine: SimMachine, sinceMs: number): number {
    let sum = 0;
    for (const { fromMs, toMs } of this.#spans.get(machine) ?? []) if (toMs > sinceMs) sum += toMs - Math.max(fromMs, sinceMs);
    return sum;
  }
}
