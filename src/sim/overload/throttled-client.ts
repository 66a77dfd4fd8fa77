/** The production throttle on the client's side of an overload run. */
import { createRuntime } from '../../core/runtime.js';
import { createThrottle } from '../../limiter/client-throttle.js';
import type { ThrottleOptions } from '../../limiter/throttle.js';
import type { Simulation } from '../simulation.js';
import type { ClientThrottle } from './overload.js';

/** All clients share it, as the calls of one process do. Retries are asked for like any call, and not held to a budget. */
export function throttledClient(options: Omit<ThrottleOptions, 'runtime'> = {}): (simulation: Simulation) => ClientThrottle {
  return ({ clock, random }) => {
    const runtime = createRuntime({ clock, random: random.fork('throttle') });
    const throttle = createThrottle({ ...options, runtime });
    return {
      allows: (criticality) => throttle.allows({ criticality }),
      onEnd: (criticality, outcome) => throttle.record(outcome === 'ok' ? 'ok' : 'dropped', { criticality }),
    };
  };
}
