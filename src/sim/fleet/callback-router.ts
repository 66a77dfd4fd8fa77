/** A production router without the promises at its edge: for fleets that run in callbacks alone. */
import type { CallContext } from '../../core/call-context.js';
import type { EvenkeelError } from '../../core/errors.js';
import { EventSource } from '../../core/events.js';
import { RouterEngine } from '../../router/engine.js';
import type { RouterEvents } from '../../router/events.js';
import type { RouterOptions } from '../../router/options.js';
import type { CallResponse } from '../../router/response.js';
import type { RouterRequest } from '../../router/router-request.js';
import type { SimProcess } from '../machine.js';
import type { Simulation } from '../simulation.js';

export interface CallbackRouter {
  /** As `Router.call`; exactly one of the two is told, once. */
  call(
    request: RouterRequest,
    onResponse: (response: CallResponse) => void,
    onError: (error: EvenkeelError) => void,
    context?: CallContext,
  ): void;
  /** What it has counted. */
  counts(): { readonly ok: number; readonly attempts: number; readonly retries: number; readonly hedges: number };
}

/** The router of a simulated process, on its clock, its chance and its call transport. */
export function callbackRouter(
  simulation: Simulation,
  process: SimProcess,
  options: Omit<RouterOptions, 'transport' | 'runtime'>,
): CallbackRouter {
  const { runtime } = process;
  const engine = new RouterEngine(
    { ...options, transport: simulation.calls(process), runtime },
    runtime,
    new EventSource<RouterEvents>('router', runtime.diagnostics),
  );
  return {
    call: (request, onResponse, onError, context) => engine.call(request, context, onResponse, onError),
    counts() {
      const { attempts, retries, hedges } = engine.telemetry;
      return { ok: engine.telemetry.outcomes().ok ?? 0, attempts, retries, hedges };
    },
  };
}
