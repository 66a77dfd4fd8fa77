/**
 * One server, more work than it can do, and clients that do not wait for each other: what is done in time, before, during and after.
 *
 * The server shares its processors among all that it works on, loses throughput when it is crowded, and pays for each refusal. A client
 * that gives up does not stop the server's work; it asks again. That is all it takes for an overload that stays after its trigger is gone.
 * @see Bronson et al., "Metastable Failures in Distributed Systems", HotOS'21; Huang et al., OSDI'22, section 5
 */
import type { Criticality } from '../../core/call-context.js';
import type { Random } from '../../core/random.js';
import { type Distribution, exponential, logNormal } from '../distributions.js';
import { Latencies } from '../fleet/latencies.js';
import { ProcessorSharing } from '../processor-sharing.js';
import { createSimulation, type Simulation } from '../simulation.js';
import type {
  Admission,
  Arrival,
  ClientThrottle,
  OverloadClient,
  OverloadPhase,
  OverloadResult,
  OverloadRunOptions,
  PhaseResult,
} from './overload.js';

export const WINDOW_MS = 250;
const MEAN_MS = 10;
const SIGMA = 0.8;
const CROWDING = 0.02;
const CLIENT: OverloadClient = { timeoutMs: 500, retries: 3, backoffMs: 50 };
const OK = 1;
const FAILED = 2;

class Phase {
  readonly latencies = new Latencies();
  readonly first = new Latencies();
  offered = 0;
  answered = 0;
  /** Of those that arrived in this phase, whenever they were answered. */
  succeeded = 0;
  critical = 0;
  criticalSucceeded = 0;
  attempts = 0;
}

export function runOverload(options: OverloadRunOptions): OverloadResult {
  return new OverloadRun(options).run();
}

class OverloadRun {
  readonly options: OverloadRunOptions;
  readonly simulation: Simulation;
  readonly client: OverloadClient;
  readonly throttle: ClientThrottle | undefined;
  readonly admission: Admission;
  readonly processor: ProcessorSharing;
  readonly refusalMs: number;
  readonly #capacity: number;
  readonly #workMs: Distribution;
  readonly #work: Random;
  readonly #jitter: Random;
  readonly #phases: Phase[];
  readonly #ends: number[] = [];
  readonly #goodput: number[] = [];
  readonly #limits: number[] = [];
  #phase = 0;
  #answeredInWindow = 0;

  constructor(options: OverloadRunOptions) {
    const { slots = 8, meanMs = MEAN_MS } = options;
    this.options = options;
    this.simulation = createSimulation({ seed: options.seed });
    this.client = { ...CLIENT, ...options.client };
    this.processor = new ProcessorSharing(this.simulation.clock, { slots, crowding: CROWDING });
    this.refusalMs = (options.refusalShare ?? 0.001) * meanMs;
    this.#capacity = slots / meanMs;
    this.#workMs = options.workMs ?? logNormal(meanMs, SIGMA);
    this.#work = this.simulation.random.fork('work');
    this.#jitter = this.simulation.random.fork('back-off');
    this.#phases = options.phases.map(() => new Phase());
    this.throttle = this.client.throttle?.(this.simulation);
    this.admission = options.admission({ simulation: this.simulation, slots, meanMs });
  }

  run(): OverloadResult {
    const { clock, trace } = this.simulation;
    let atMs = 0;
    this.options.phases.forEach(({ forMs, speed = 1 }, index) => {
      clock.timer(atMs, () => {
        this.#phase = index;
        this.processor.speed = speed;
      });
      atMs += forMs;
      this.#ends.push(atMs);
    });
    this.#arrive(this.simulation.random.fork('arrivals'));
    clock.timer(WINDOW_MS, this.#onWindow);
    clock.runSync(atMs);
    return {
      phases: this.#phases.map((phase, index) => this.#resultOf(phase, index)),
      goodput: this.#goodput,
      limits: this.#limits,
      windowMs: WINDOW_MS,
      hash: trace.hash,
      events: trace.events,
    };
  }

  #arrive(arrivals: Random): void {
    const { clock } = this.simulation;
    const { phases, criticalShare = 0 } = this.options;
    const unit = exponential(1);
    const next = () => {
      const { load } = phases[this.#phase] as OverloadPhase;
      const isCritical = criticalShare === 0 || arrivals.next() < criticalShare;
      const phase = this.#phases[this.#phase] as Phase;
      phase.offered++;
      if (isCritical) phase.critical++;
      const request = new Request(this, phase, clock.now(), isCritical ? 'critical' : 'sheddable', arrivals.next());
      clock.timer(unit(arrivals) / (load * this.#capacity), next);
      request.attempt();
    };
    clock.timer(0, next);
  }

  workOf(): number {
    return this.#workMs(this.#work);
  }

  backoffMs(attempts: number): number {
    return this.client.backoffMs * 2 ** (attempts - 1) * (0.5 + this.#jitter.next());
  }

  onAnswer(request: Request, now: number): void {
    const { phase, startedAt, attempts } = request;
    const answering = this.#phases[this.#phase] as Phase;
    answering.answered++;
    this.#answeredInWindow++;
    phase.succeeded++;
    if (request.criticality === 'critical') phase.criticalSucceeded++;
    answering.latencies.add(now - startedAt);
    if (attempts === 1) answering.first.add(now - startedAt);
    this.simulation.trace.note(OK, now, attempts);
  }

  onFailure(now: number): void {
    this.simulation.trace.note(FAILED, now);
  }

  readonly #onWindow = (): void => {
    this.#goodput.push(this.#answeredInWindow / (this.#capacity * WINDOW_MS));
    this.#limits.push(this.admission.limit ?? Number.NaN);
    this.#answeredInWindow = 0;
    this.simulation.clock.timer(WINDOW_MS, this.#onWindow);
  };

  #resultOf(phase: Phase, index: number): PhaseResult {
    const { load, forMs } = this.options.phases[index] as OverloadPhase;
    return {
      load,
      offered: phase.offered,
      goodput: phase.answered / (this.#capacity * forMs),
      success: phase.succeeded / phase.offered,
      criticalSuccess: phase.criticalSucceeded / phase.critical,
      attempts: phase.attempts,
      p50: phase.latencies.quantile(0.5),
      p99: phase.latencies.quantile(0.99),
      firstP99: phase.first.quantile(0.99),
    };
  }
}

/** A request and its attempts, one at a time; an attempt that was given up may still be worked on. */
class Request {
  readonly criticality: Criticality;
  readonly startedAt: number;
  readonly phase: Phase;
  readonly user: number;
  readonly #run: OverloadRun;
  attempts = 0;

  constructor(run: OverloadRun, phase: Phase, startedAt: number, criticality: Criticality, user: number) {
    this.#run = run;
    this.phase = phase;
    this.startedAt = startedAt;
    this.criticality = criticality;
    this.user = user;
  }

  readonly attempt = (): void => {
    const { throttle } = this.#run;
    this.attempts++;
    if (throttle !== undefined && !throttle.allows(this.criticality)) {
      this.#failed();
      return;
    }
    this.phase.attempts++;
    new Attempt(this.#run, this).start();
  };

  onEnd(outcome: 'ok' | 'refused' | 'timeout', now: number): void {
    this.#run.throttle?.onEnd(this.criticality, outcome);
    if (outcome === 'ok') this.#run.onAnswer(this, now);
    else this.#failed();
  }

  #failed(): void {
    const { client, simulation, throttle } = this.#run;
    const isLast = this.attempts > client.retries || throttle?.allowsRetry?.() === false;
    if (isLast) this.#run.onFailure(simulation.clock.now());
    else simulation.clock.timer(this.#run.backoffMs(this.attempts), this.attempt);
  }
}

class Attempt implements Arrival {
  readonly deadline: number;
  readonly criticality: Criticality;
  readonly user: number;
  readonly #run: OverloadRun;
  readonly #request: Request;
  #isOver = false;
  #timer: { cancel(): void } | undefined;

  constructor(run: OverloadRun, request: Request) {
    this.#run = run;
    this.#request = request;
    this.criticality = request.criticality;
    this.user = request.user;
    this.deadline = run.simulation.clock.now() + run.client.timeoutMs;
  }

  start(): void {
    this.#run.admission.arrive(this);
    if (this.#isOver) return;
    this.#timer = this.#run.simulation.clock.timer(this.#run.client.timeoutMs, () => this.#end('timeout'));
  }

  serve(onEnd: () => void): void {
    this.#run.processor.start(this.#run.workOf(), () => {
      onEnd();
      this.#end('ok');
    });
  }

  refuse(): void {
    this.#run.processor.spend(this.#run.refusalMs);
    this.#end('refused');
  }

  #end(outcome: 'ok' | 'refused' | 'timeout'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#request.onEnd(outcome, this.#run.simulation.clock.now());
  }
}
