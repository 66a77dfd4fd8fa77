/** The production limiter before a server of an overload run. */
import { CRITICALITIES } from '../../core/call-context.js';
import { COHORTS } from '../../core/cohort.js';
import { createRuntime } from '../../core/runtime.js';
import { createLimiter } from '../../limiter/gated-limiter.js';
import type { LimiterOptions } from '../../limiter/limiter.js';
import { coreOf, type LimiterCore } from '../../limiter/limiter-core.js';
import { type Claim, Waiter } from '../../limiter/waiter.js';
import type { Admission, Arrival, OverloadServer } from './overload.js';

/** `onLimiter`: hands the limiter out, to be looked at. */
export function limiterAdmission(
  options: Omit<LimiterOptions, 'runtime'> = {},
  onLimiter?: (limiter: LimiterCore) => void,
): (server: OverloadServer) => Admission {
  return ({ simulation }) => {
    const { clock, random } = simulation;
    const runtime = createRuntime({ clock, random: random.fork('limiter') });
    const limiter = coreOf(createLimiter({ leakWarning: false, ...options, runtime }));
    onLimiter?.(limiter);
    return {
      get limit() {
        return limiter.limit;
      },
      arrive: (arrival) => limiter.submit(new ArrivedAttempt(limiter, arrival, clock.now())),
    };
  };
}

class ArrivedAttempt extends Waiter {
  readonly #limiter: LimiterCore;
  readonly #arrival: Arrival;

  constructor(limiter: LimiterCore, arrival: Arrival, now: number) {
    super(claimOf(arrival), now);
    this.#limiter = limiter;
    this.#arrival = arrival;
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    const permit = this.#limiter.permit(this, startedAt, isTimed);
    this.#arrival.serve(() => permit.end('ok'));
  }

  onRefused(): void {
    this.#arrival.refuse();
  }
}

function claimOf({ criticality, deadline, user }: Arrival): Claim {
  return { weight: 1, rank: CRITICALITIES.indexOf(criticality), cohort: Math.floor(user * COHORTS), partition: 0, deadline };
}
