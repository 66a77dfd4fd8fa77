/** Counts, durations and spans of a router. Counts are plain numbers, exported when somebody asks; without telemetry that is all. */
import type { EvenkeelError } from '../core/errors.js';
import { ATTRIBUTES } from '../core/metrics.js';
import type { Runtime } from '../core/runtime.js';
import type { Attributes, Telemetry } from '../core/telemetry.js';
import type { EndpointTable } from './endpoint-table.js';
import type { RoutedCall } from './routed-call.js';

/** What is read when the exporter asks. */
export interface RouterReadings {
  readonly options: { readonly service: string };
  readonly table: EndpointTable;
  readonly waiting: { readonly size: number };
  readonly tableAgeMs: number;
  readonly news: { readonly broken: number };
  readonly staleReports: number;
}

export class RouterTelemetry {
  attempts = 0;
  retries = 0;
  retriesRefused = 0;
  hedges = 0;
  hedgesWon = 0;
  hedgesRefused = 0;
  /** What servers did for attempts that lost to another, from dispatch to cancellation. */
  wastedMs = 0;
  ejections = 0;
  panics = 0;
  /** Answers that a shard is elsewhere. */
  wrongShards = 0;
  /** Calls ended, by outcome: `ok` or the error's code. */
  readonly calls = new Map<string, number>([['ok', 0]]);
  readonly #telemetry: Telemetry | undefined;
  readonly #service: string;
  readonly #recordDuration: ((seconds: number, attributes: Attributes) => void) | undefined;
  readonly #attributes = new Map<string, Attributes>();
  readonly #registrations: Disposable[] = [];
  #ok = 0;

  constructor(readings: RouterReadings, runtime: Runtime) {
    this.#telemetry = runtime.telemetry;
    this.#service = readings.options.service;
    this.#recordDuration = runtime.telemetry?.histogram('rpc.client.call.duration');
    if (runtime.telemetry !== undefined) this.#export(runtime.telemetry, readings);
  }

  onCallStart(call: RoutedCall): void {
    if (this.#telemetry === undefined || !this.#telemetry.traces(call.startedAt)) return;
    // A query may hold secrets, and makes names without end.
    call.span = this.#telemetry.startSpan(withoutQuery(String(call.request.path)), call.startedAt);
    call.span?.set(ATTRIBUTES.service, this.#service);
  }

  onCallEnd(call: RoutedCall, error: EvenkeelError | undefined, now: number): void {
    const outcome = error?.code ?? 'ok';
    if (error === undefined) this.#ok++;
    else this.calls.set(outcome, (this.calls.get(outcome) ?? 0) + 1);
    this.#recordDuration?.((now - call.startedAt) / 1000, this.#attributesOf(outcome));
    if (call.span === undefined) return;
    call.span.set(ATTRIBUTES.attempts, call.attempts);
    call.span.end(error?.code);
  }

  /** Calls ended, by outcome. */
  outcomes(): Record<string, number> {
    this.calls.set('ok', this.#ok);
    return Object.fromEntries(this.calls);
  }

  close(): void {
    for (const registration of this.#registrations) registration[Symbol.dispose]();
  }

  #export(telemetry: Telemetry, readings: RouterReadings): void {
    const service = { [ATTRIBUTES.service]: this.#service };
    const keep = (registration: Disposable) => this.#registrations.push(registration);
    keep(
      telemetry.observable('evenkeel.router.calls', (observe) => {
        for (const [outcome, count] of Object.entries(this.outcomes()))
          observe(count, { ...service, [ATTRIBUTES.outcome]: outcome });
      }),
    );
    keep(telemetry.observable('evenkeel.router.attempts', (observe) => observe(this.attempts, service)));
    keep(telemetry.observable('evenkeel.router.retries', (observe) => observe(this.retries, service)));
    keep(telemetry.observable('evenkeel.router.retries.refused', (observe) => observe(this.retriesRefused, service)));
    keep(telemetry.observable('evenkeel.router.hedges', (observe) => observe(this.hedges, service)));
    keep(telemetry.observable('evenkeel.router.hedges.won', (observe) => observe(this.hedgesWon, service)));
    keep(telemetry.observable('evenkeel.router.hedges.refused', (observe) => observe(this.hedgesRefused, service)));
    keep(telemetry.observable('evenkeel.router.wasted', (observe) => observe(this.wastedMs / 1000, service)));
    keep(telemetry.observable('evenkeel.router.ejections', (observe) => observe(this.ejections, service)));
    keep(telemetry.observable('evenkeel.router.panics', (observe) => observe(this.panics, service)));
    keep(telemetry.observable('evenkeel.router.reports.broken', (observe) => observe(readings.news.broken, service)));
    keep(telemetry.observable('evenkeel.router.reports.stale', (observe) => observe(readings.staleReports, service)));
    keep(telemetry.observable('evenkeel.router.queued', (observe) => observe(readings.waiting.size, service)));
    keep(
      telemetry.observable('evenkeel.router.table.age', (observe) => {
        if (Number.isFinite(readings.tableAgeMs)) observe(readings.tableAgeMs / 1000, service);
      }),
    );
    keep(
      telemetry.observable('evenkeel.router.endpoints', (observe) => {
        // Each is told: exporters go on with the last value of one that is left out.
        const states = { open: 0, ejected: 0, unhealthy: 0, probation: 0 };
        for (const { state } of readings.table.members()) states[state]++;
        for (const [state, count] of Object.entries(states)) observe(count, { ...service, [ATTRIBUTES.state]: state });
      }),
    );
  }

  #attributesOf(outcome: string): Attributes {
    let attributes = this.#attributes.get(outcome);
    if (attributes === undefined) {
      attributes = { [ATTRIBUTES.service]: this.#service, [ATTRIBUTES.outcome]: outcome };
      this.#attributes.set(outcome, attributes);
    }
    return attributes;
  }
}

function withoutQuery(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}
