/** Open-loop arrivals at a processor, and what queueing theory says of them. */
import { seededRandom } from '../../../src/core/random.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { type Distribution, exponential } from '../../../src/sim/distributions.js';
import type { Processor } from '../../../src/sim/processor.js';

type World = ReturnType<typeof virtualClock>;

export interface Served {
  readonly jobs: number;
  /** Mean time in the system. */
  readonly meanMs: number;
  /** Share of the processors that worked. */
  readonly utilization: number;
}

/** Poisson arrivals of `work`, one each `gapMs` on average. */
export function serve(
  make: (world: World) => Processor,
  options: { seed: number; jobs: number; gapMs: number; work: Distribution; slots: number },
): Served {
  const world = virtualClock();
  const processor = make(world);
  const random = seededRandom(options.seed);
  const gap = exponential(options.gapMs);
  let begun = 0;
  let ended = 0;
  let total = 0;
  const arrive = () => {
    const at = world.now();
    processor.start(options.work(random), () => {
      ended++;
      total += world.now() - at;
    });
    if (++begun < options.jobs) world.timer(gap(random), arrive);
  };
  world.timer(0, arrive);
  world.runSync();
  return { jobs: ended, meanMs: total / ended, utilization: processor.busyMs / (world.now() * options.slots) };
}

/** Mean time in an M/M/c queue, first in first out; by Erlang's C. The mean is the same where the c processors are shared. */
export function meanTimeMmc(servers: number, gapMs: number, workMs: number): number {
  const offered = workMs / gapMs;
  const load = offered / servers;
  let term = 1;
  let sum = 1;
  for (let n = 1; n < servers; n++) {
    term *= offered / n;
    sum += term;
  }
  const all = (term * offered) / servers / (1 - load);
  const waits = all / (sum + all);
  return workMs + (waits * workMs) / (servers * (1 - load));
}
