import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { staticResolver } from '../../../src/core/index.js';
import { createLatencyTax, createLoadReporter, createRouter, type LatencyTaxOptions } from '../../../src/router/index.js';
import { readServerTiming, writeServerTiming } from '../../../src/router/server-timing.js';
import { TaxHistogram } from '../../../src/router/tax-histogram.js';
import { PARTS, splitTime } from '../../../src/router/tax-parts.js';
import { createMemoryCall, memoryNetwork } from '../../../src/transports/memory/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { bothOf, HEDGE_MS, hedgingRig } from '../../support/hedging-rig.js';
import { type RigOptions, routerRig, watch } from '../../support/router-rig.js';

function taxedRig(options: RigOptions & LatencyTaxOptions = {}) {
  const { maxMethods, sampleEvery, methodOf, ...rest } = options;
  const tax = createLatencyTax({ maxMethods, sampleEvery, methodOf });
  return { ...routerRig({ ...rest, tax }), tax };
}

describe('the parts of an attempt', () => {
  it('lie end to end', () => {
    const parts = new Float64Array(PARTS.length);
    const times = { queuedAt: 0, dispatchedAt: 1, startedAt: 3, connectedAt: 6, sentAt: 10, headAt: 40, endedAt: 47 };
    splitTime(times, { queue: 2, application: 15, send: 3 }, parts);
    expect(Object.fromEntries(PARTS.map((part, i) => [part, parts[i]]))).toEqual({
      clientQueue: 1,
      serialize: 2,
      connect: 3,
      send: 4,
      wireRequest: 5,
      serverQueue: 2,
      application: 15,
      serverSend: 3,
      wireResponse: 5,
      receive: 7,
      untold: 0,
    });
  });

  it('add up to the whole whatever was told, in whatever order it came', () => {
    const ms = fc.double({ min: 0, max: 1e5, noNaN: true });
    const maybe = fc.oneof(ms, fc.constant(Number.NaN));
    fc.assert(
      fc.property(
        ms,
        ms,
        ms,
        maybe,
        maybe,
        maybe,
        ms,
        fc.option(fc.tuple(ms, ms, ms)),
        (a, b, c, connect, sent, head, rest, server) => {
          const startedAt = a + b + c;
          const headAt = startedAt + head;
          const times = {
            queuedAt: a,
            dispatchedAt: a + b,
            startedAt,
            connectedAt: startedAt + connect,
            sentAt: startedAt + sent,
            headAt,
            endedAt: (Number.isNaN(headAt) ? startedAt : headAt) + rest,
          };
          const parts = new Float64Array(PARTS.length);
          const told = server === null ? undefined : { queue: server[0], application: server[1], send: server[2] };
          splitTime(times, told, parts);
          const total = times.endedAt - times.queuedAt;
          const sum = parts.reduce((x, y) => x + y, 0);
          for (const part of parts) expect(part).toBeGreaterThanOrEqual(-1e-9);
          expect(Math.abs(sum - total)).toBeLessThanOrEqual(1e-9 * Math.max(1, total));
        },
      ),
    );
  });
});

describe('Server-Timing', () => {
  it.each([
    ['q;dur=1.5, app;dur=20, ser;dur=0.2', { queue: 1.5, application: 20, send: 0.2 }],
    ['cache;desc="x", app;dur=7', { queue: 0, application: 7, send: 0 }],
    ['myapp;dur=9, app;dur=7', { queue: 0, application: 7, send: 0 }],
    ['q;dur=1', undefined],
    ['app;dur=-1', undefined],
    ['app;dur=Infinity', undefined],
    ['app;dur=', undefined],
    ['app;dur=soon', undefined],
    ['q;dur=x, app;dur=1', undefined],
  ])('%s', (value, expected) => {
    expect(readServerTiming(['Server-Timing', value])).toEqual(expected);
  });

  it('comes back as it was written, to a microsecond', () => {
    const times = { queue: 0.0014, application: 12.3456789, send: 0 };
    expect(readServerTiming(['server-timing', writeServerTiming(times)])).toEqual({ queue: 0.001, application: 12.346, send: 0 });
  });
});

it('histograms of two places add up to that of both', () => {
  const [one, two, both] = [new TaxHistogram(), new TaxHistogram(), new TaxHistogram()];
  for (let i = 0; i < 1000; i++) {
    (i % 3 === 0 ? one : two).add(i);
    both.add(i);
  }
  one.merge(two);
  expect(one.percentiles()).toEqual(both.percentiles());
  expect(both.percentiles().mean).toBe(499.5);
  expect(Math.abs(both.quantile(0.99) / 989 - 1)).toBeLessThan(0.05);
});

describe('a router with a latency tax', () => {
  it('asks the server, and tells where the time went', async () => {
    const { router, transport, clock, tax } = taxedRig({ endpoints: [{ id: 'a', address: 'memory://a', locality: 'eu/1' }] });
    for (let i = 0; i < 10; i++) {
      const call = watch(router.call({ path: `/m?${i}`, body: 'four' }));
      expect(transport.last.request.headers).toEqual(['evenkeel-depth', '1']);
      await clock.advance(50);
      const timing = ['server-timing', 'q;dur=10, app;dur=25, ser;dur=5', 'evenkeel-descendants', '3'];
      transport.last.respond(200, [...timing, 'endpoint-load-metrics', 'TEXT cpu_utilization=0.6']);
      await clock.advance(8);
      transport.last.data('eight by');
      transport.last.end();
      await clock.settle();
      call.get();
    }
    const { all, byMethod, byLocality, byPressure, attempts } = tax.report();
    expect(attempts).toBe(10);
    expect(byMethod.map(({ name }) => name)).toEqual(['/m']);
    expect(byLocality.map(({ name }) => name)).toEqual(['eu/1']);
    expect(byPressure.map(({ name }) => name)).toEqual(
      ['0.5 to 0.7', 'untold'].filter((n) => byPressure.some((r) => r.name === n)),
    );
    expect(all.totalMs.mean).toBeCloseTo(58, 6);
    expect(all.tax).toBeCloseTo(33 / 58, 6);
    expect(all.taxMs).toBeCloseTo(330, 6);
    expect(all.parts.wireRequest.mean).toBeCloseTo(5, 6);
    expect(all.parts.receive.mean).toBeCloseTo(8, 6);
    const sum = PARTS.reduce((ms, part) => ms + all.parts[part].mean, 0);
    expect(Math.abs(sum / all.totalMs.mean - 1)).toBeLessThan(0.01);
    expect(all.descendants.mean).toBe(3);
    expect([all.requestBytes.mean, all.responseBytes.mean, all.bytesRatio.mean]).toEqual([4, 8, 2]);
    expect(JSON.parse(JSON.stringify(tax.report()))).toEqual(tax.report());
    expect(tax.table()).toContain('/m');
  });

  it('puts the method with the most tax time times calls first, and has a bound on methods', async () => {
    const { router, transport, clock, tax } = taxedRig({ maxMethods: 2 });
    const one = async (path: string, ms: number) => {
      watch(router.call({ path }));
      await clock.advance(ms);
      transport.last.answer(200, '', ['server-timing', 'app;dur=10']);
      await clock.settle();
    };
    for (let i = 0; i < 20; i++) await one('/often', 15);
    await one('/rarely', 60);
    await one('/more', 12);
    await one('/and/more', 12);
    expect(tax.report().byMethod.map(({ name, attempts }) => [name, attempts])).toEqual([
      ['/often', 20],
      ['/rarely', 1],
      ['other', 2],
    ]);
  });

  it('measures and asks nothing while it is off', async () => {
    const { router, transport, clock, tax } = taxedRig();
    tax.isOn = false;
    watch(router.call({ path: '/m' }));
    expect(transport.last.request.headers).toEqual([]);
    transport.last.answer();
    await clock.settle();
    expect(tax.report()).toMatchObject({ attempts: 0, byMethod: [], all: { attempts: 0, tax: null } });
  });

  it('takes the wait of a server that does not tell for what it is: untold', async () => {
    const { router, transport, clock, tax } = taxedRig();
    watch(router.call({ path: '/m' }));
    await clock.advance(30);
    transport.last.answer();
    await clock.settle();
    const { all } = tax.report();
    expect(all).toMatchObject({ told: 0, tax: null });
    expect(all.parts.untold.mean).toBeCloseTo(30, 6);
  });

  it('counts the work of attempts that were outrun, given up or too late, and time by outcome', async () => {
    const tax = createLatencyTax();
    const rig = await hedgingRig({ tax, timeoutMs: 300, retry: false });
    watch(rig.router.call({ path: '/x' }));
    await rig.clock.advance(HEDGE_MS);
    const [, hedge] = bothOf(rig);
    hedge.answer();
    const gone = new AbortController();
    watch(rig.router.call({ path: '/x', signal: gone.signal, idempotent: false }));
    await rig.clock.advance(7);
    gone.abort();
    watch(rig.router.call({ path: '/x', idempotent: false }));
    await rig.clock.advance(320);
    const { wasted, outcomes } = tax.report();
    expect(wasted.hedged.attempts).toBe(1);
    expect(wasted.hedged.serverMs).toBeGreaterThanOrEqual(10);
    expect(wasted.cancelled.attempts).toBe(1);
    expect(wasted.cancelled.serverMs).toBeCloseTo(7, 6);
    expect(wasted.late.attempts).toBe(1);
    expect(outcomes['deadline-exceeded']?.attempts).toBe(1);
    expect(outcomes.cancelled?.attempts).toBe(2);
    expect(outcomes.ok?.attempts).toBe(121);
  });

  it('a naming function that throws costs the call nothing', async () => {
    const { router, transport, clock, tax } = taxedRig({
      methodOf: () => {
        throw new Error('no name');
      },
    });
    const call = watch(router.call({ path: '/m' }));
    transport.last.answer();
    await clock.settle();
    expect(call.get().status).toBe(200);
    expect(tax.report().byMethod[0]?.name).toBe('unnamed');
  });
});

it('depth and descendants travel through a chain of services', async () => {
  const runtime = fakeRuntime();
  const transport = createMemoryCall({ network: memoryNetwork(), clock: runtime.clock });
  const reporter = createLoadReporter({ runtime });
  const tax = createLatencyTax();
  const to = (address: string) =>
    createRouter({ service: address, resolver: staticResolver([address]), transport, runtime, tax });
  const [a, b, c] = [to('memory://a'), to('memory://b'), to('memory://c')];
  const depths: (number | undefined)[] = [];
  const serve = (address: string, next: (typeof a)[]) =>
    transport.serve?.(
      { address },
      reporter.calls(async (_call, work) => {
        depths.push(work.context.trail?.depth);
        for (const router of next) await router.call({ path: '/next' }, work.context);
        return { status: 200 };
      }),
    );
  const listeners = await Promise.all([serve('memory://c', []), serve('memory://b', [c, c]), serve('memory://a', [b])]);
  const answer = watch(a.call({ path: '/first' }));
  await runtime.clock.advance(100);
  expect(answer.get().header('evenkeel-descendants')).toBe('3');
  expect(depths).toEqual([1, 2, 3, 3]);
  const first = tax.report().byMethod.find(({ name }) => name === '/first');
  expect(first?.descendants.mean).toBe(3);
  expect(first?.told).toBe(1);
  await Promise.all([a, b, c].map((router) => router.close()));
  await Promise.all(listeners.map((listener) => listener?.close()));
});

it('a server tells queue, work and writing as its handler marks them, to those who ask', async () => {
  const runtime = fakeRuntime();
  const reporter = createLoadReporter({ runtime });
  const work = reporter.begin({ criticality: 'critical', trail: { depth: 1, descendants: 0 } });
  await runtime.clock.advance(5);
  work.mark('begun');
  await runtime.clock.advance(20);
  work.mark('done');
  await runtime.clock.advance(2);
  expect(work.timingHeaders()).toEqual(['server-timing', 'q;dur=5, app;dur=20, ser;dur=2', 'evenkeel-descendants', '0']);
  work.end('ok');
  expect(reporter.begin().timingHeaders()).toEqual([]);
});
