/** One request a server works on, counted for the host and for its model, and what its response tells of them. */
import type { CallContext } from '../core/call-context.js';
import { HEADERS } from '../core/headers.js';
import { modelKey } from '../core/load-board.js';
import type { InFlight, Outcome } from '../core/load-counter.js';
import { type LoadReport, OUTSTANDING_MS } from '../core/load-report.js';
import { encodeLoadHeader, type LoadFormat } from '../core/orca/header.js';
import type { ServerLoad } from './server-load.js';
import { writeServerTiming } from './server-timing.js';

/** One request being worked on. */
export interface ServedCall {
  /** Deadline and criticality the caller set, capped. Hand it to the calls made for this one. */
  readonly context: CallContext;
  /** Counts the request for this model, from now to its end. */
  model(name: string): void;
  /** Corrects the work it counts for; default 1. */
  reweigh(weight: number): void;
  /**
   * For callers that ask where the time goes. `begun`: the work begins, until now the request waited; `done`: the answer is known, from now
   * on it is written. Without it all of the time until the response's head is work.
   */
  mark(step: 'begun' | 'done'): void;
}

/** A request that its server counts itself: see `LoadReporter.begin`. */
export interface BegunCall extends ServedCall {
  /**
   * The value of the `endpoint-load-metrics` header, as of now.
   * @throws {EvenkeelError} `invalid-argument` for an unknown format.
   */
  loadHeader(format?: LoadFormat): string;
  /** Names and values in turn: what a caller that asks is told of the time until now, and of the calls made for it. Empty for others. */
  timingHeaders(): readonly string[];
  /** The response is out, or its caller has gone; the first call counts. */
  end(outcome: Outcome): void;
}

const NO_KEYS: readonly string[] = Object.freeze([]);

export class ServedWork implements BegunCall {
  readonly context: CallContext;
  readonly #load: ServerLoad;
  readonly #host: InFlight;
  /** What it will take of the server, as far as is known. */
  readonly #outstanding: InFlight;
  readonly #inFlightAtArrival: number;
  readonly #startedAt: number;
  #model: InFlight | undefined;
  #class: string | undefined;
  #weight = 1;
  #hasEnded = false;
  #begunAt = 0;
  #doneAt = 0;
  /** Keys of the counters that the response tells of, beside the host's. */
  #keys: readonly string[] = NO_KEYS;

  constructor(server: ServerLoad, context: CallContext) {
    const { costs, runtime } = server;
    this.#load = server;
    this.context = context;
    this.#startedAt = runtime.clock.now();
    this.#inFlightAtArrival = costs.begin(this.#startedAt);
    this.#host = runtime.load.counter('host').begin();
    this.#outstanding = runtime.load.counter(OUTSTANDING_MS, MILLISECONDS).begin(costs.unitMs(undefined));
  }

  model(name: string): void {
    // The caller may have gone while the handler was finding out.
    if (this.#hasEnded) return;
    const key = modelKey(name);
    this.#model?.end('ignored');
    this.#model = this.#load.runtime.load.counter(key).begin(this.#weight);
    this.#keys = [key];
    this.#class = key;
    this.#outstanding.reweigh(this.#load.costs.unitMs(key) * this.#weight);
  }

  reweigh(weight: number): void {
    this.#host.reweigh(weight);
    this.#model?.reweigh(weight);
    this.#outstanding.reweigh(this.#load.costs.unitMs(this.#class) * weight);
    this.#weight = weight;
  }

  mark(step: 'begun' | 'done'): void {
    // Nobody asks.
    if (this.context.trail === undefined) return;
    const now = this.#load.runtime.clock.now();
    if (step === 'begun') this.#begunAt = now;
    else this.#doneAt = now;
  }

  timingHeaders(): readonly string[] {
    const { trail } = this.context;
    if (trail === undefined) return NO_KEYS;
    const now = this.#load.runtime.clock.now();
    const begunAt = this.#begunAt === 0 ? this.#startedAt : this.#begunAt;
    const doneAt = this.#doneAt === 0 ? now : Math.max(begunAt, this.#doneAt);
    const times = { queue: begunAt - this.#startedAt, application: doneAt - begunAt, send: now - doneAt };
    return [
      HEADERS.serverTiming.text,
      writeServerTiming(times),
      HEADERS.descendants.text,
      String(Math.min(MAX_DESCENDANTS, trail.descendants)),
    ];
  }

  end(outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#host.end(outcome);
    this.#model?.end(outcome);
    this.#outstanding.end(outcome);
    const { costs, runtime } = this.#load;
    const now = runtime.clock.now();
    if (outcome === 'ok') costs.learn(this.#class, this.#weight, this.#startedAt, this.#inFlightAtArrival, now);
    else costs.abandon(now);
  }

  /**
   * The load as of now, for the response's head. What does not fit into a header is left out: first the signals, then a model whose
   * name is too long once encoded. The host's load always fits.
   * @throws {EvenkeelError} `invalid-argument` for an unknown format.
   */
  loadHeader(format: LoadFormat = 'text'): string {
    const report = this.#load.report(this.#keys, this.#class);
    let refusal: unknown;
    for (const narrow of NARROWER) {
      try {
        return encodeLoadHeader(narrow(report), format);
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }
}

const MAX_DESCENDANTS = 1e9;
const MILLISECONDS = { unit: 'milliseconds' } as const;

const NARROWER: readonly ((report: LoadReport) => LoadReport)[] = [
  (report) => report,
  (report) => ({ ...report, utilization: undefined }),
  (report) => ({ ...report, utilization: undefined, namedMetrics: narrowed(report) }),
];

function narrowed({ namedMetrics }: LoadReport): Record<string, number> {
  const { host = 0, [OUTSTANDING_MS]: outstandingMs } = namedMetrics ?? {};
  return outstandingMs === undefined ? { host } : { host, [OUTSTANDING_MS]: outstandingMs };
}
