/**
 * Everything a module takes from outside, in one value: time, chance, the machine, load, telemetry. Modules that share a runtime
 * share one load board; a factory that is given none makes a private one. There is no global.
 */
import { AmbientContext } from './ambient-context.js';
import type { CallContext } from './call-context.js';
import { type Clock, liveClock } from './clock.js';
import { Diagnostics } from './diagnostics.js';
import { type Host, liveHost } from './host.js';
import { createLoadBoard, type LoadBoard } from './load-board.js';
import { liveRandom, type Random } from './random.js';
import type { Telemetry } from './telemetry.js';

export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly host: Host;
  readonly load: LoadBoard;
  /** Absent: nothing is measured for export. */
  readonly telemetry: Telemetry | undefined;
  readonly diagnostics: Diagnostics;
  /** The implicit call context; off until {@link runWithContext}. */
  readonly ambient: AmbientContext;
}

export interface RuntimeOptions {
  /** Default: the process's monotonic clock. */
  clock?: Clock;
  /** Default: seeded by the operating system. */
  random?: Random;
  /** Default: the machine. */
  host?: Host;
  /** Default: none. `openTelemetry({ meter, tracer })` exports metrics and spans. */
  telemetry?: Telemetry;
}

/**
 * @example
 * ```ts
 * import { createRuntime } from 'evenkeel/core';
 *
 * const runtime = createRuntime(); // hand it to every router, limiter and reporter of the process
 * ```
 */
export function createRuntime(options: RuntimeOptions = {}): Runtime {
  const clock = options.clock ?? liveClock();
  const host = options.host ?? liveHost();
  const load = createLoadBoard({ clock, host });
  const diagnostics = new Diagnostics(clock, (message) => host.warn(message));
  options.telemetry?.observe(load);
  options.telemetry?.observable('evenkeel.diagnostics.errors', (observe) => observe(diagnostics.total));
  return {
    clock,
    random: options.random ?? liveRandom(),
    host,
    load,
    telemetry: options.telemetry,
    diagnostics,
    ambient: new AmbientContext(),
  };
}

/**
 * Runs `work` with `context` in force: calls made by modules of this runtime inside it, without a context of their own, take it.
 * From the first use on every await of the process pays for it; pass the context explicitly where you can.
 */
export function runWithContext<T>(runtime: Runtime, context: CallContext, work: () => T): T {
  return runtime.ambient.run(context, work);
}
