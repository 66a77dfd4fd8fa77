import { context, metrics, propagation, ROOT_CONTEXT, type SpanContext, type TextMapPropagator, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { AlwaysOffSampler, BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { afterEach, describe, expect, it } from 'vitest';
import { ATTRIBUTES } from '../../../src/core/metrics.js';
import { createRuntime } from '../../../src/core/runtime.js';
import { openTelemetry } from '../../../src/core/telemetry.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { FakeHost } from '../../support/fake-host.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  propagation.disable();
});

function metricsSetUp() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ readers: [reader] });
  closing.push(() => provider.shutdown());
  const telemetry = openTelemetry({ meter: provider.getMeter('evenkeel') });
  /** Every data point of the latest collection, by metric. */
  const collect = async () => {
    exporter.reset();
    await reader.forceFlush();
    const metrics = exporter.getMetrics().flatMap((resource) => resource.scopeMetrics.flatMap((scope) => scope.metrics));
    return new Map(metrics.map((metric) => [metric.descriptor.name, metric]));
  };
  return { telemetry, collect };
}

describe('metrics', () => {
  it('export the counters, utilizations and pressure of a board when the exporter asks', async () => {
    const { telemetry, collect } = metricsSetUp();
    const host = new FakeHost();
    const { load, diagnostics } = createRuntime({ telemetry, host, clock: virtualClock() });
    load.counter('host', { capacity: 10 }).begin(4);
    load.counter('model:a').begin(7);
    diagnostics.report('test', 'x');
    const collected = await collect();
    const values = (name: string) =>
      collected.get(name)?.dataPoints.map(({ value, attributes }) => [attributes[ATTRIBUTES.key], value]);
    expect(values('evenkeel.load.in_flight')).toEqual([
      ['host', 1],
      ['model:a', 1],
    ]);
    expect(values('evenkeel.load.weight')).toEqual([
      ['host', 4],
      ['model:a', 7],
    ]);
    expect(values('evenkeel.load.utilization')).toEqual([['host', 0.4]]);
    expect(values('evenkeel.load.pressure')).toEqual([[undefined, 0.4]]);
    expect(values('evenkeel.diagnostics.errors')).toEqual([[undefined, 1]]);
  });

  it('have the unit and description of the table', async () => {
    const { telemetry, collect } = metricsSetUp();
    telemetry.observable('evenkeel.router.calls', (observe) => observe(3, { [ATTRIBUTES.outcome]: 'ok' }));
    const metric = (await collect()).get('evenkeel.router.calls');
    expect(metric?.descriptor).toMatchObject({ unit: '{call}', description: 'Calls ended, by outcome.' });
    expect(metric?.dataPoints[0]).toMatchObject({ value: 3, attributes: { 'evenkeel.outcome': 'ok' } });
  });

  it('of two owners of one name stand side by side, and end when disposed', async () => {
    const { telemetry, collect } = metricsSetUp();
    const a = telemetry.observable('evenkeel.router.attempts', (observe) => observe(1, { [ATTRIBUTES.service]: 'a' }));
    telemetry.observable('evenkeel.router.attempts', (observe) => observe(2, { [ATTRIBUTES.service]: 'b' }));
    const both = (await collect()).get('evenkeel.router.attempts')?.dataPoints;
    expect(both?.map(({ value }) => value).sort()).toEqual([1, 2]);
    a[Symbol.dispose]();
    a[Symbol.dispose]();
    telemetry.observable('evenkeel.router.attempts', () => {
      throw new Error('broken reading');
    });
    const after = await collect();
    expect(after.get('evenkeel.router.attempts')?.dataPoints.some(({ value }) => value === 2)).toBe(true);
  });

  it('have histograms whose buckets fit seconds', async () => {
    const { telemetry, collect } = metricsSetUp();
    const record = telemetry.histogram('rpc.client.call.duration');
    record?.(0.007, { [ATTRIBUTES.service]: 'a' });
    const point = (await collect()).get('rpc.client.call.duration')?.dataPoints[0]?.value as {
      buckets: { boundaries: number[]; counts: number[] };
    };
    expect(point.buckets.boundaries.slice(0, 3)).toEqual([0.005, 0.01, 0.025]);
    expect(point.buckets.counts[1]).toBe(1);
  });
});

it('records no histogram where no SDK is registered', () => {
  expect(openTelemetry({ meter: metrics.getMeter('evenkeel') }).histogram('rpc.client.call.duration')).toBeUndefined();
});

describe('spans', () => {
  /** As the SDK's for W3C Trace Context. */
  const traceContext: TextMapPropagator = {
    inject(active, carrier, setter) {
      const { traceId, spanId, traceFlags } = trace.getSpanContext(active) as SpanContext;
      setter.set(carrier, 'traceparent', `00-${traceId}-${spanId}-0${traceFlags}`);
    },
    extract: () => context.active(),
    fields: () => ['traceparent', 'tracestate'],
  };

  function tracing() {
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    closing.push(() => provider.shutdown());
    return { exporter, telemetry: openTelemetry({ tracer: provider.getTracer('evenkeel') }) };
  }

  it('have what was set, and an error by its code', () => {
    const { exporter, telemetry } = tracing();
    const span = telemetry.startSpan('search', 0);
    span?.set(ATTRIBUTES.attempts, 2);
    span?.end('unavailable');
    telemetry.startSpan('search', 0)?.end();
    const [failed, good] = exporter.getFinishedSpans();
    expect(failed).toMatchObject({
      name: 'search',
      attributes: { 'evenkeel.attempts': 2, 'error.type': 'unavailable' },
      status: { code: 2 },
    });
    expect(good).toMatchObject({ status: { code: 0 } });
  });

  it('that are not sampled cost nothing to set and still tell the server of their trace', () => {
    propagation.setGlobalPropagator(traceContext);
    const exporter = new InMemorySpanExporter();
    const spanProcessors = [new SimpleSpanProcessor(exporter)];
    const provider = new BasicTracerProvider({ sampler: new AlwaysOffSampler(), spanProcessors });
    closing.push(() => provider.shutdown());
    const span = openTelemetry({ tracer: provider.getTracer('evenkeel') }).startSpan('search', 0);
    const headers: string[] = [];
    span?.set(ATTRIBUTES.attempts, 2);
    span?.inject(headers);
    span?.end('unavailable');
    expect(headers).toEqual(['traceparent', expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)]);
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  it('are none where no SDK is registered, and not asked for again within 100 ms', () => {
    const telemetry = openTelemetry({ tracer: trace.getTracer('evenkeel') });
    expect(telemetry.traces(1000)).toBe(true);
    expect(telemetry.startSpan('search', 1000)).toBeUndefined();
    expect(telemetry.traces(1099)).toBe(false);
    expect(telemetry.traces(1100)).toBe(true);
  });

  it('of a parent are passed on by a program that has a context manager and no SDK', () => {
    const parent = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 };
    let active = ROOT_CONTEXT;
    context.setGlobalContextManager({
      active: () => active,
      with: (inner, work, self, ...args) => {
        const outer = active;
        active = inner;
        try {
          return work.call(self as never, ...args);
        } finally {
          active = outer;
        }
      },
      bind: (_context, target) => target,
      enable() {
        return this;
      },
      disable() {
        return this;
      },
    });
    closing.push(async () => context.disable());
    const telemetry = openTelemetry({ tracer: trace.getTracer('evenkeel') });
    expect(telemetry.startSpan('search', 0)).toBeUndefined();
    expect(telemetry.traces(1)).toBe(true);
    const span = context.with(trace.setSpanContext(ROOT_CONTEXT, parent), () => telemetry.startSpan('search', 1));
    const headers: string[] = [];
    propagation.setGlobalPropagator(traceContext);
    span?.inject(headers);
    expect(headers).toEqual(['traceparent', `00-${parent.traceId}-${parent.spanId}-01`]);
  });

  it('replace what was passed on of another trace, in any case', () => {
    propagation.setGlobalPropagator(traceContext);
    const span = tracing().telemetry.startSpan('search', 0);
    const headers = ['TraceParent', 'old', 'a', 'b', 'tracestate', 'vendor=old', 'traceparent', 'older'];
    span?.inject(headers);
    expect(headers).toEqual(['a', 'b', 'traceparent', expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)]);
  });

  it('leave passed-on headers alone where there is no propagator', () => {
    const headers = ['traceparent', 'old'];
    tracing().telemetry.startSpan('search', 0)?.inject(headers);
    expect(headers).toEqual(['traceparent', 'old']);
  });

  it('travel as flat headers', () => {
    propagation.setGlobalPropagator({
      inject: (active, carrier, setter) => setter.set(carrier, 'traceparent', trace.getSpanContext(active)?.traceId ?? ''),
      extract: () => context.active(),
      fields: () => ['traceparent'],
    });
    const span = tracing().telemetry.startSpan('search', 0);
    const headers = ['a', 'b'];
    span?.inject(headers);
    expect(headers).toEqual(['a', 'b', 'traceparent', expect.stringMatching(/^[0-9a-f]{32}$/)]);
  });
});

it('costs nothing and breaks nothing without meter and tracer', () => {
  const telemetry = openTelemetry({});
  expect(telemetry.histogram('rpc.client.call.duration')).toBeUndefined();
  expect(telemetry.startSpan('x', 0)).toBeUndefined();
  telemetry.observable('evenkeel.load.pressure', () => {})[Symbol.dispose]();
});
