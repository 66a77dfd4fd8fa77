/** One request a server works on, counted for the host and for its model, and what its response tells of them. */
import type { CallContext } from '../core/call-context.js';
import { modelKey } from '../core/load-board.js';
import type { InFlight, Outcome } from '../core/load-counter.js';
import type { LoadReport } from '../core/load-report.js';
import { encodeLoadHeader, type LoadFormat } from '../core/orca/header.js';
import type { Runtime } from '../core/runtime.js';

/** One request being worked on. */
export interface ServedCall {
  /** Deadline and criticality the caller set, capped. Hand it to the calls made for this one. */
  readonly context: CallContext;
  /** Counts the request for this model, from now to its end. */
  model(name: string): void;
  /** Corrects the work it counts for; default 1. */
  reweigh(weight: number): void;
}

const NO_KEYS: readonly string[] = Object.freeze([]);

export class ServedWork implements ServedCall {
  readonly context: CallContext;
  readonly #runtime: Runtime;
  readonly #host: InFlight;
  #model: InFlight | undefined;
  #weight = 1;
  #hasEnded = false;
  /** Keys of the counters that the response tells of, beside the host's. */
  #keys: readonly string[] = NO_KEYS;

  constructor(runtime: Runtime, context: CallContext) {
    this.#runtime = runtime;
    this.context = context;
    this.#host = runtime.load.counter('host').begin();
  }

  model(name: string): void {
    // The caller may have gone while the handler was finding out.
    if (this.#hasEnded) return;
    const key = modelKey(name);
    this.#model?.end('ignored');
    this.#model = this.#runtime.load.counter(key).begin(this.#weight);
    this.#keys = [key];
  }

  reweigh(weight: number): void {
    this.#host.reweigh(weight);
    this.#model?.reweigh(weight);
    this.#weight = weight;
  }

  end(outcome: Outcome): void {
    this.#hasEnded = true;
    this.#host.end(outcome);
    this.#model?.end(outcome);
  }

  /**
   * The load as of now, for the response's head. What does not fit into a header is left out: first the signals, then a model whose
   * name is too long once encoded. The host's load always fits.
   * @throws {EvenkeelError} `invalid-argument` for an unknown format.
   */
  loadHeader(format: LoadFormat): string {
    const report = this.#runtime.load.report(this.#keys);
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

const NARROWER: readonly ((report: LoadReport) => LoadReport)[] = [
  (report) => report,
  (report) => ({ ...report, utilization: undefined }),
  (report) => ({ ...report, utilization: undefined, namedMetrics: { host: report.namedMetrics?.host ?? 0 } }),
];
