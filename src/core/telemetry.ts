/**
 * The one door to @opentelemetry/api. Absent by default: then nothing is measured for export and nothing costs anything. Load and
 * counts are observable instruments: they are read when the exporter asks, not written at every call.
 */
import {
  type Attributes,
  context,
  createContextKey,
  createNoopMeter,
  isSpanContextValid,
  type Meter,
  type ObservableResult,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { LoadBoard } from './load-board.js';
import { ATTRIBUTES, METRICS, type MetricDefinition, type MetricName } from './metrics.js';
import { addTraceHeaders } from './trace-headers.js';

export type { Attributes } from '@opentelemetry/api';

/** Called once per value and collection. */
export type Observe = (value: number, attributes?: Attributes) => void;

export interface Telemetry {
  /** Exports the counters, utilizations and the pressure of a load board. */
  observe(load: LoadBoard): void;
  /** Exports what `read` tells, each time the exporter asks. A `read` that throws is left out of that collection. */
  observable(name: MetricName, read: (observe: Observe) => void): Disposable;
  /** A histogram's recording function; undefined without a meter or an SDK behind it. */
  histogram(name: MetricName): ((value: number, attributes: Attributes) => void) | undefined;
  /**
   * False while spans have nowhere to go: ask before the work that a span costs. An SDK that is registered later is noticed within
   * 100 ms. `now`: Clock.now().
   */
  traces(now: number): boolean;
  /**
   * Begins a client span below the active one, or returns undefined: no tracer, or no SDK behind it. One that is not recorded is
   * passed on all the same, with the flag that says so: a server that heard nothing would begin a trace of its own.
   */
  startSpan(name: string, now: number): CallSpan | undefined;
}

export interface CallSpan {
  /** Does nothing when the span is not recorded. */
  set(name: string, value: string | number): void;
  /** Puts the propagator's headers (traceparent) into a flat list, in place of those of the same names; `baggage` is added to. */
  inject(headers: string[]): void;
  /** An error's code marks the span as failed. */
  end(errorCode?: string): void;
}

/**
 * @param options.meter - Where metrics go. Absent: no metrics.
 * @param options.tracer - Where spans go. Absent: no spans.
 * @example
 * ```ts
 * import { metrics, trace } from '@opentelemetry/api';
 * import { createRuntime, openTelemetry } from 'evenkeel/core';
 *
 * const telemetry = openTelemetry({ meter: metrics.getMeter('app'), tracer: trace.getTracer('app') });
 * const runtime = createRuntime({ telemetry });
 * ```
 */
export function openTelemetry(options: { meter?: Meter; tracer?: Tracer }): Telemetry {
  return new OpenTelemetry(options.meter, options.tracer);
}

/** How long the answer that there is no SDK holds. */
const SILENCE_MS = 100;
const PROBE = ROOT_CONTEXT.setValue(createContextKey('evenkeel probe'), true);
const NOOP_HISTOGRAM = createNoopMeter().createHistogram('');
const CLIENT_SPAN = Object.freeze({ kind: SpanKind.CLIENT });

class OpenTelemetry implements Telemetry {
  readonly #meter: Meter | undefined;
  readonly #tracer: Tracer | undefined;
  #silentUntil = Number.NEGATIVE_INFINITY;

  constructor(meter: Meter | undefined, tracer: Tracer | undefined) {
    this.#meter = meter;
    this.#tracer = tracer;
  }

  observe(load: LoadBoard): void {
    const each = (pick: (key: string) => number | undefined) => (observe: Observe) => {
      for (const key of load.keys()) {
        const value = pick(key);
        if (value !== undefined) observe(value, { [ATTRIBUTES.key]: key });
      }
    };
    this.observable(
      'evenkeel.load.in_flight',
      each((key) => load.counter(key).read().inFlight),
    );
    this.observable(
      'evenkeel.load.weight',
      each((key) => load.counter(key).read().weight),
    );
    this.observable(
      'evenkeel.load.utilization',
      each((key) => {
        const { capacity, utilization } = load.counter(key).read();
        return capacity === Number.POSITIVE_INFINITY ? undefined : utilization;
      }),
    );
    this.observable('evenkeel.load.pressure', (observe) => observe(load.pressure()));
  }

  observable(name: MetricName, read: (observe: Observe) => void): Disposable {
    const meter = this.#meter;
    if (meter === undefined) return { [Symbol.dispose]: () => {} };
    const { kind, unit, description } = METRICS[name];
    const options = { unit, description };
    const instrument =
      kind === 'counter'
        ? meter.createObservableCounter(name, options)
        : kind === 'updown'
          ? meter.createObservableUpDownCounter(name, options)
          : meter.createObservableGauge(name, options);
    const callback = (result: ObservableResult) => {
      try {
        read((value, attributes) => result.observe(value, attributes));
      } catch {
        // One broken reading must not cost the exporter the rest of its collection.
      }
    };
    instrument.addCallback(callback);
    return { [Symbol.dispose]: () => instrument.removeCallback(callback) };
  }

  histogram(name: MetricName): ((value: number, attributes: Attributes) => void) | undefined {
    const { unit, description, boundaries }: MetricDefinition = METRICS[name];
    const advice = boundaries && { explicitBucketBoundaries: [...boundaries] };
    const histogram = this.#meter?.createHistogram(name, { unit, description, advice });
    if (histogram === undefined || histogram === NOOP_HISTOGRAM) return undefined;
    return (value, attributes) => histogram.record(value, attributes);
  }

  traces(now: number): boolean {
    return this.#tracer !== undefined && now >= this.#silentUntil;
  }

  startSpan(name: string, now: number): CallSpan | undefined {
    if (this.#tracer === undefined) return undefined;
    const span = this.#tracer.startSpan(name, CLIENT_SPAN);
    if (isSpanContextValid(span.spanContext())) return new OpenTelemetrySpan(span);
    if (!hasContexts()) this.#silentUntil = now + SILENCE_MS;
    return undefined;
  }
}

/** A context manager is registered: then a parent's trace may have to be passed on, SDK or not. */
function hasContexts(): boolean {
  return context.with(PROBE, () => context.active() === PROBE);
}

class OpenTelemetrySpan implements CallSpan {
  readonly #span: Span;
  readonly #isRecorded: boolean;

  constructor(span: Span) {
    this.#span = span;
    this.#isRecorded = span.isRecording();
  }

  set(name: string, value: string | number): void {
    if (this.#isRecorded) this.#span.setAttribute(name, value);
  }

  inject(headers: string[]): void {
    const injected: string[] = [];
    propagation.inject(trace.setSpan(context.active(), this.#span), injected, {
      set: (carrier, name, value) => {
        carrier.push(name, value);
      },
    });
    if (injected.length > 0) addTraceHeaders(headers, injected, propagation.fields());
  }

  end(errorCode?: string): void {
    if (errorCode !== undefined && this.#isRecorded) {
      this.#span.setAttribute(ATTRIBUTES.code, errorCode);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end();
  }
}
