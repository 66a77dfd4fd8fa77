/** The production throttle in a simulated client. */
import { createRuntime } from 'evenkeel/core';
import { createThrottle } from 'evenkeel/limiter';
import type { ClientThrottle, Simulation } from 'evenkeel/sim';

export function throttledClient({ clock, random }: Simulation): ClientThrottle {
  const throttle = createThrottle({ runtime: createRuntime({ clock, random: random.fork('throttle') }) });
  return {
    allows: (criticality) => throttle.allows({ criticality }),
    onEnd: (criticality, outcome) => throttle.record(outcome === 'ok' ? 'ok' : 'dropped', { criticality }),
  };
}
