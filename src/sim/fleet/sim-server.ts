/** A server of a simulated fleet: a processor that works, and the production load reporter that tells of it. */
import { readContextHeaders } from '../../core/context-headers.js';
import { HEADERS } from '../../core/headers.js';
import { claimOfContext } from '../../limiter/claim.js';
import { createLimiter } from '../../limiter/gated-limiter.js';
import type { LimiterOptions } from '../../limiter/limiter.js';
import { coreOf, type LimiterCore } from '../../limiter/limiter-core.js';
import type { Permit } from '../../limiter/permit.js';
import { Waiter } from '../../limiter/waiter.js';
import { createLoadReporter, type LoadReporter } from '../../router/load-reporter.js';
import type { ArrivedCall } from '../arrived-call.js';
import type { SimMachine } from '../machine.js';
import type { Processor } from '../processor.js';
import type { Simulation } from '../simulation.js';

export interface SimServerOptions {
  readonly processor: Processor;
  /** Told to callers as capacity; default: nothing is told. */
  readonly capacity?: number;
  /** Share of the machine's memory bandwidth that a request takes while it runs. Default 0. */
  readonly memory?: number;
  /** Work stops when its caller has gone; default: it goes on to its end. */
  readonly stopsWhenCancelled?: boolean;
  /** Stands before the processor; what it turns away is answered with 503. Default: all is begun at once. */
  readonly limiter?: Omit<LimiterOptions, 'runtime'>;
}

/** The path of a request that is so much work, in milliseconds of a processor of speed 1, for a model perhaps. */
export function workPath(workMs: number, model = ''): string {
  return model === '' ? `/${workMs}` : `/${workMs}/${model}`;
}

const LOAD_ROUTE = '/load';

export class SimServer {
  readonly machine: SimMachine;
  readonly address: string;
  readonly processor: Processor;
  readonly reporter: LoadReporter;
  readonly limiter: LimiterCore | undefined;
  readonly #stopsWhenCancelled: boolean;
  readonly #memory: number;
  /** Requests that arrived, load probes apart. */
  arrived = 0;
  probes = 0;
  /** For rules that servers take part in: how long a request took, and how many were in flight when it came. */
  onServed: ((elapsedMs: number, inFlight: number) => void) | undefined;

  constructor(simulation: Simulation, machine: SimMachine, options: SimServerOptions) {
    this.machine = machine;
    this.address = `sim://${machine.name}`;
    this.processor = options.processor;
    this.#memory = options.memory ?? 0;
    this.#stopsWhenCancelled = options.stopsWhenCancelled ?? false;
    const { runtime } = machine.process;
    this.reporter = createLoadReporter({ runtime, capacity: options.capacity });
    this.limiter = options.limiter && coreOf(createLimiter({ leakWarning: false, ...options.limiter, runtime }));
    simulation.calls(machine.process).listen(this.address, (call) => this.#serve(call));
  }

  #serve(call: ArrivedCall): void {
    if (call.request.path === LOAD_ROUTE) {
      this.probes++;
      call.answer(200, [HEADERS.load.text, this.reporter.loadHeader()]);
      return;
    }
    this.arrived++;
    if (this.limiter === undefined) this.#work(call, undefined);
    else
      this.limiter.submit(
        new ServedCall(
          this.limiter,
          call,
          (permit) => this.#work(call, permit),
          () => this.#refuse(call),
        ),
      );
  }

  #refuse(call: ArrivedCall): void {
    call.answer(503, [HEADERS.rejected.text, '1', HEADERS.load.text, this.reporter.loadHeader()]);
  }

  #work(call: ArrivedCall, permit: Permit | undefined): void {
    const [, workMs, model] = call.request.path.split('/');
    const work = this.reporter.begin();
    if (model !== undefined) work.model(model);
    const startedAt = this.machine.world.now();
    const inFlight = this.processor.inFlight + 1;
    const job = this.processor.start(
      Number(workMs),
      () => {
        const load = work.loadHeader();
        work.end('ok');
        permit?.end('ok');
        this.onServed?.(this.machine.world.now() - startedAt, inFlight);
        call.answer(200, [HEADERS.load.text, load]);
      },
      this.#memory,
    );
    if (!this.#stopsWhenCancelled) return;
    call.onCancel = () => {
      job.cancel();
      work.end('ignored');
      permit?.end('ignored');
    };
  }
}

class ServedCall extends Waiter {
  readonly #limiter: LimiterCore;
  readonly #onPermit: (permit: Permit) => void;
  readonly #onRefusal: () => void;

  constructor(limiter: LimiterCore, { request }: ArrivedCall, onPermit: (permit: Permit) => void, onRefusal: () => void) {
    const now = limiter.runtime.clock.now();
    super(claimOfContext(readContextHeaders(request.headers ?? [], { now, isTrusted: true })), now);
    this.#limiter = limiter;
    this.#onPermit = onPermit;
    this.#onRefusal = onRefusal;
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    this.#onPermit(this.#limiter.permit(this, startedAt, isTimed));
  }

  onRefused(): void {
    this.#onRefusal();
  }
}
