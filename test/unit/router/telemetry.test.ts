import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { afterEach, describe, expect, it } from 'vitest';
import { ATTRIBUTES, createRuntime, openTelemetry, seededRandom } from '../../../src/core/index.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { FakeHost, type FakeRuntime } from '../../support/fake-host.js';
import { routerRig, watch } from '../../support/router-rig.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function observed() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meters = new MeterProvider({ readers: [reader] });
  const spans = new InMemorySpanExporter();
  const traces = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  closing.push(
    () => meters.shutdown(),
    () => traces.shutdown(),
  );
  const telemetry = openTelemetry({ meter: meters.getMeter('evenkeel'), tracer: traces.getTracer('evenkeel') });
  const host = new FakeHost();
  const clock = virtualClock();
  const runtime: FakeRuntime = { ...createRuntime({ clock, host, random: seededRandom(1), telemetry }), clock, host };
  /** Values of the latest collection, by metric, with the one attribute that tells them apart. */
  const collect = async () => {
    exporter.reset();
    await reader.forceFlush();
    const values: Record<string, unknown> = {};
    for (const { scopeMetrics } of exporter.getMetrics()) {
      for (const { metrics } of scopeMetrics) {
        for (const { descriptor, dataPoints } of metrics) {
          for (const { value, attributes } of dataPoints) {
            const { [ATTRIBUTES.service]: _service, ...rest } = attributes;
            values[[descriptor.name, ...Object.values(rest)].join(' ')] = value;
          }
        }
      }
    }
    return values;
  };
  return { runtime, collect, spans };
}

describe('metrics of a router', () => {
  it('tell calls, attempts, retries, ejections, the queue, and endpoints by state', async () => {
    const { runtime, collect } = observed();
    const rig = routerRig({ runtime, endpoints: 3, maxInFlightPerEndpoint: 1, ejection: { consecutiveFailures: 1 } });
    const calls = Array.from({ length: 5 }, () => watch(rig.router.call({ path: '/x', body: 'b' })));
    rig.transport.calls[0]?.answer(500);
    rig.transport.calls[1]?.fail('unavailable', 'yes');
    await rig.clock.advance(100);
    expect(calls.filter(({ isSettled }) => isSettled)).toHaveLength(1);
    expect(await collect()).toMatchObject({
      'evenkeel.router.calls ok': 1,
      'evenkeel.router.attempts': 4,
      'evenkeel.router.retries': 1,
      'evenkeel.router.retries.refused': 0,
      'evenkeel.router.ejections': 1,
      'evenkeel.router.panics': 0,
      'evenkeel.router.reports.broken': 0,
      'evenkeel.router.table.age': 0,
      'evenkeel.router.endpoints ejected': 1,
      'evenkeel.router.endpoints open': 2,
      'evenkeel.router.endpoints probation': 0,
      'evenkeel.router.endpoints unhealthy': 0,
    });
    await rig.router.close();
  });

  it('record how long each call took, by outcome', async () => {
    const { runtime, collect } = observed();
    const rig = routerRig({ runtime, retry: false });
    watch(rig.router.call({ path: '/x' }));
    await rig.clock.advance(250);
    rig.transport.last.answer();
    watch(rig.router.call({ path: '/x' }));
    rig.transport.last.fail();
    const values = await collect();
    expect(values['rpc.client.call.duration ok']).toMatchObject({ count: 1, sum: 0.25 });
    expect(values['rpc.client.call.duration unavailable']).toMatchObject({ count: 1, sum: 0 });
    await rig.router.close();
  });

  it('end with the router', async () => {
    const { runtime, collect } = observed();
    const rig = routerRig({ runtime });
    await rig.router.close();
    expect(Object.keys(await collect()).filter((name) => name.startsWith('evenkeel.router'))).toEqual([]);
  });
});

describe('spans of a router', () => {
  it('are one a call, with the service, the endpoint, the attempts and the reason of the pick', async () => {
    const { runtime, spans } = observed();
    const rig = routerRig({ runtime, endpoints: 2 });
    watch(rig.router.call({ path: '/x' }));
    rig.transport.last.fail('unavailable', 'yes');
    rig.transport.last.answer();
    const [span] = spans.getFinishedSpans();
    expect(span?.name).toBe('/x');
    expect(span?.attributes).toMatchObject({
      [ATTRIBUTES.service]: 's',
      [ATTRIBUTES.endpoint]: rig.transport.last.to,
      [ATTRIBUTES.attempts]: 2,
      [ATTRIBUTES.reason]: expect.any(String),
    });
    await rig.router.close();
  });

  it('of failed calls are marked, and end once', async () => {
    const { runtime, spans } = observed();
    const rig = routerRig({ runtime, endpoints: 2, timeoutMs: 100 });
    watch(rig.router.call({ path: '/slow' }));
    watch(rig.router.call({ path: 'malformed' }));
    await rig.clock.advance(120);
    expect(spans.getFinishedSpans().map(({ attributes }) => attributes[ATTRIBUTES.code])).toEqual([
      'invalid-argument',
      'deadline-exceeded',
    ]);
    await rig.router.close();
    expect(spans.getFinishedSpans()).toHaveLength(2);
  });
});
