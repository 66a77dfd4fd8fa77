import { describe, expect, it } from 'vitest';
import { p2c, polling, type RouterEvents, responseHeader } from '../../../src/router/index.js';
import type { PuppetCall } from '../../support/puppet-transport.js';
import { assertBalanced, assertClosesClean, type RigOptions, routerRig, watch } from '../../support/router-rig.js';

const GET = { path: '/x' };

describe('reports in response headers', () => {
  const reportOf = (rig: ReturnType<typeof routerRig>) => rig.runtime.load.remote('a')?.report;

  it.each([
    ['TEXT', ['endpoint-load-metrics', 'TEXT cpu_utilization=0.5, named_metrics.host=3']],
    ['TEXT without the word', ['Endpoint-Load-Metrics', 'cpu_utilization=0.5,named_metrics.host=3']],
    ['JSON', ['endpoint-load-metrics', 'JSON {"cpu_utilization":0.5,"named_metrics":{"host":3}}']],
    ['JSON in its older header', ['endpoint-load-metrics-json', '{"cpu_utilization":0.5,"named_metrics":{"host":3}}']],
  ])('are read as %s', async (_what, headers) => {
    const rig = routerRig();
    watch(rig.router.call(GET));
    rig.transport.last.answer(200, '', headers);
    expect(reportOf(rig)).toEqual({ cpuUtilization: 0.5, namedMetrics: { host: 3 } });
    expect(rig.router.endpoints()[0]?.reportAgeMs).toBe(0);
  });

  it('are asked for where servers tell only who asks', async () => {
    const rig = routerRig({ loadSources: [responseHeader({ ask: 'json' })] });
    watch(rig.router.call({ path: '/x', headers: ['a', 'b'] }));
    expect(rig.transport.last.request.headers).toEqual(['a', 'b', 'endpoint-load-metrics-format', 'json']);
    rig.transport.last.answer(200, '', ['endpoint-load-metrics', 'JSON {"named_metrics":{"host":3}}']);
    expect(reportOf(rig)?.namedMetrics).toEqual({ host: 3 });
    expect(() => responseHeader({ ask: 'binary' as 'text' })).toThrow(/ask is/);
    await assertClosesClean(rig);
  });

  it('are read from trailers, and from failures', async () => {
    const rig = routerRig({ retry: false });
    watch(rig.router.call(GET));
    rig.transport.last.respond(200);
    rig.transport.last.end(['endpoint-load-metrics', 'named_metrics.host=3']);
    expect(reportOf(rig)?.namedMetrics).toEqual({ host: 3 });
    await rig.clock.advance(10);
    watch(rig.router.call(GET));
    rig.transport.last.answer(503, '', ['endpoint-load-metrics', 'named_metrics.host=9']);
    expect(reportOf(rig)?.namedMetrics).toEqual({ host: 9 });
  });

  it.each([
    ['NaN', 'TEXT cpu_utilization=NaN'],
    ['infinity', 'JSON {"cpu_utilization":1e999}'],
    ['a name twice', 'TEXT rps=1,rps=2'],
    ['nonsense', '!!!'],
    ['broken JSON', 'JSON {"cpu'],
    ['broken base64', 'BIN ???'],
    ['17 KiB', `TEXT named_metrics.host=1${' '.repeat(17_000)}`],
    ['too many metrics', `TEXT ${Array.from({ length: 300 }, (_, i) => `named_metrics.m${i}=1`).join()}`],
  ])('with %s are counted, and the call does not notice', async (_what, value) => {
    const rig = routerRig();
    const broken: RouterEvents['broken-report'][] = [];
    rig.router.events.on('broken-report', (event) => broken.push(event));
    const call = watch(rig.router.call(GET));
    rig.transport.last.answer(200, 'fine', ['endpoint-load-metrics', value]);
    await assertBalanced(rig);
    expect(await call.get().text()).toBe('fine');
    expect(rig.router.snapshot().brokenReports).toBe(1);
    expect(broken).toMatchObject([{ endpoint: 'a', error: { code: 'invalid-argument' } }]);
    expect(reportOf(rig)).toBeUndefined();
  });

  it('that break leave the last good one, which ages', async () => {
    const rig = routerRig();
    watch(rig.router.call(GET));
    rig.transport.last.answer(200, '', ['endpoint-load-metrics', 'named_metrics.host=3']);
    await rig.clock.advance(500);
    watch(rig.router.call(GET));
    rig.transport.last.answer(200, '', ['endpoint-load-metrics', 'rubbish']);
    expect(rig.router.endpoints()[0]?.reportAgeMs).toBe(500);
  });

  it('are read at most once per interval and endpoint', async () => {
    const rig = routerRig({ loadSources: [responseHeader({ minIntervalMs: 100 })] });
    for (const [wait, host, expected] of [
      [0, 1, 1],
      [50, 2, 1],
      [60, 3, 3],
    ] as const) {
      await rig.clock.advance(wait);
      watch(rig.router.call(GET));
      rig.transport.last.answer(200, '', ['endpoint-load-metrics', `named_metrics.host=${host}`]);
      expect(reportOf(rig)?.namedMetrics?.host).toBe(expected);
    }
    expect(() => responseHeader({ minIntervalMs: -1 })).toThrow(/minIntervalMs/);
  });

  it('steer picks on reported load, by the model asked for', async () => {
    const rig = routerRig({ endpoints: 2, picker: p2c({ load: 'reported' }) });
    const told: Record<string, string> = {
      a: 'named_metrics.host=10,named_metrics.model:m=1',
      b: 'named_metrics.host=5,named_metrics.model:m=8',
    };
    rig.transport.onCall = (call) => call.answer(200, '', ['endpoint-load-metrics', told[call.to] ?? '']);
    for (let i = 0; i < 20; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(2);
    }
    const to = (request: { path: string; model?: string }) => {
      watch(rig.router.call(request));
      return rig.transport.last.to;
    };
    expect(to(GET)).toBe('b');
    await rig.clock.settle();
    expect(to({ ...GET, model: 'm' })).toBe('a');
    await rig.clock.settle();
    expect(to({ ...GET, model: 'unknown' })).toBe('b');
  });
});

/** Polls of /load are answered by the test; other calls stay open. */
function polled(options: Parameters<typeof polling>[0], answer: (call: PuppetCall) => void, more: RigOptions = {}) {
  const rig = routerRig({ endpoints: 3, loadSources: [polling(options)], ...more });
  rig.transport.onCall = (call) => {
    if (call.request.path === (options.path ?? '/load')) answer(call);
  };
  const sent = () => rig.transport.calls.filter(({ request }) => request.path === '/x').map(({ to }) => to);
  const polls = () => rig.transport.calls.length - sent().length;
  return { ...rig, sent, polls };
}

describe('polling in the background', () => {
  it('asks every endpoint about once a second, and the board shows what they tell', async () => {
    const rig = polled({ mode: 'background' }, (call) =>
      call.answer(200, `{"named_metrics":{"host":${call.to === 'a' ? 4 : 1}}}`),
    );
    await rig.clock.advance(10_000);
    expect(rig.polls()).toBeGreaterThanOrEqual(3 * 9);
    expect(rig.polls()).toBeLessThanOrEqual(3 * 12);
    expect(rig.runtime.load.remote('a')?.report.namedMetrics).toEqual({ host: 4 });
    expect(rig.router.endpoints()[0]?.reportAgeMs).toBeLessThanOrEqual(1100);
    await assertClosesClean(rig);
  });

  it.each([
    ['never answers', () => {}],
    ['answers 500', (call: PuppetCall) => call.answer(500)],
    ['answers nonsense', (call: PuppetCall) => call.answer(200, '<html>')],
    [
      'answers without end',
      (call: PuppetCall) => {
        call.respond(200);
        call.data(new Uint8Array(70_000));
      },
    ],
    ['is gone', (call: PuppetCall) => call.fail('unavailable', 'yes')],
  ])('counts one that %s, asks again, and the others are polled on', async (_what, fault) => {
    const rig = polled({ mode: 'background', timeoutMs: 300 }, (call) => {
      if (call.to === 'a') fault(call);
      else call.answer(200, 'named_metrics.host=1');
    });
    await rig.clock.advance(8000);
    const { brokenReports, endpoints } = rig.router.snapshot();
    expect(brokenReports).toBeGreaterThanOrEqual(4);
    expect(endpoints.map(({ reportAgeMs }) => reportAgeMs === undefined)).toEqual([true, false, false]);
    expect(endpoints[0]?.failureShare).toBe(0);
    await assertClosesClean(rig);
  });

  it("reads vLLM's answer, and any other with a function of one's own", async () => {
    const vllm = polled({ mode: 'background' }, (call) => call.answer(200, '{"server_load": 7}'));
    await vllm.clock.advance(1200);
    expect(vllm.runtime.load.remote('a')?.report.namedMetrics).toEqual({ host: 7 });
    await vllm.router.close();
    const own = polled({ mode: 'background', path: '/q', parse: (body) => ({ rps: body.length }) }, (call) =>
      call.answer(200, 'abc'),
    );
    await own.clock.advance(1200);
    expect(own.runtime.load.remote('a')?.report).toEqual({ rps: 3 });
    await own.router.close();
  });
});

describe('polling before dispatch', () => {
  const byLoad = (loads: Record<string, number>) => (call: PuppetCall) =>
    call.answer(200, `named_metrics.host=${loads[call.to] ?? 0}`);

  it('asks two endpoints and sends the call to the less loaded', async () => {
    const rig = polled({ mode: 'before-dispatch' }, byLoad({ a: 9, b: 1 }), { endpoints: 2 });
    const reasons: string[] = [];
    rig.router.events.on('pick', ({ reason }) => reasons.push(reason));
    watch(rig.router.call(GET));
    expect(rig.sent()).toEqual([]);
    await rig.clock.settle();
    expect(rig.polls()).toBe(2);
    expect(rig.sent()).toEqual(['b']);
    expect(reasons).toEqual(['asked before dispatch']);
    await assertClosesClean(rig);
  });

  it('by the model asked for, by the host where its counter is 0', async () => {
    const rig = polled(
      { mode: 'before-dispatch' },
      (call) => {
        call.answer(
          200,
          call.to === 'a' ? 'named_metrics.host=9,named_metrics.model:m=1' : 'named_metrics.host=5,named_metrics.model:m=4',
        );
      },
      { endpoints: 2 },
    );
    watch(rig.router.call({ ...GET, model: 'm' }));
    await rig.clock.settle();
    watch(rig.router.call({ ...GET, model: 'other' }));
    await rig.clock.settle();
    expect(rig.sent()).toEqual(['a', 'b']);
  });

  it('asks as many as wanted', async () => {
    const rig = polled({ mode: 'before-dispatch', choices: 5 }, byLoad({ a: 5, b: 4, c: 3, d: 2, e: 1 }), { endpoints: 5 });
    watch(rig.router.call(GET));
    await rig.clock.settle();
    expect([rig.polls(), rig.sent()]).toEqual([5, ['e']]);
  });

  it('counts what it sent since the report', async () => {
    const rig = polled({ mode: 'before-dispatch' }, byLoad({ a: 1, b: 1 }), { endpoints: 2 });
    for (let i = 0; i < 40; i++) {
      watch(rig.router.call(GET));
    }
    await rig.clock.settle();
    // All polls were answered before the first dispatch: without our own count one endpoint would take everything.
    const toA = rig.sent().filter((to) => to === 'a').length;
    expect(toA).toBeGreaterThan(10);
    expect(toA).toBeLessThan(30);
  });

  it('prefers one that answers over one that does not, after its timeout', async () => {
    const rig = polled(
      { mode: 'before-dispatch' },
      (call) => {
        if (call.to === 'a') call.answer(200, 'named_metrics.host=100');
      },
      { endpoints: 2 },
    );
    watch(rig.router.call(GET));
    await rig.clock.advance(49);
    expect(rig.sent()).toEqual([]);
    // A tick of the wheel at most.
    await rig.clock.advance(8);
    expect(rig.sent()).toEqual(['a']);
    await assertClosesClean(rig);
  });

  it('takes the word of servers that tell of the model and of nothing else', async () => {
    const rig = polled(
      { mode: 'before-dispatch' },
      (call) => call.answer(200, `TEXT named_metrics.model:m=${call.to === 'a' ? 9 : 1}`),
      { endpoints: 2 },
    );
    for (let i = 0; i < 5; i++) {
      watch(rig.router.call({ ...GET, model: 'm' }));
      await rig.clock.settle();
    }
    expect(rig.sent()).toEqual(['b', 'b', 'b', 'b', 'b']);
  });

  it('lets the picker choose when nobody answers', async () => {
    const rig = polled({ mode: 'before-dispatch' }, () => {});
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(60);
    expect(rig.sent()).toHaveLength(1);
    rig.transport.last.answer();
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
    expect(rig.router.snapshot().brokenReports).toBe(2);
  });

  it('asks nobody when there is only one', () => {
    const rig = polled({ mode: 'before-dispatch' }, () => {}, { endpoints: 1 });
    watch(rig.router.call(GET));
    expect([rig.polls(), rig.sent()]).toEqual([0, ['a']]);
  });

  it('sends a repeated call elsewhere, though the endpoint that failed tells less load', async () => {
    const rig = polled({ mode: 'before-dispatch' }, byLoad({ a: 0, b: 50 }), { endpoints: 2 });
    watch(rig.router.call(GET));
    await rig.clock.settle();
    rig.transport.last.fail();
    await rig.clock.advance(100);
    expect(rig.sent()).toEqual(['a', 'b']);
  });

  it('gives up at the deadline: nothing is sent after it', async () => {
    const rig = polled({ mode: 'before-dispatch', timeoutMs: 500 }, () => {}, { timeoutMs: 100 });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(600);
    expect(rig.sent()).toEqual([]);
    expect(call.error).toMatchObject({ code: 'deadline-exceeded', attempts: 0 });
    await assertClosesClean(rig);
  });

  it('lets a call be cancelled meanwhile', async () => {
    const rig = polled({ mode: 'before-dispatch' }, () => {});
    const gone = new AbortController();
    const call = watch(rig.router.call({ ...GET, signal: gone.signal }));
    gone.abort();
    await rig.clock.advance(100);
    expect(call.error?.code).toBe('cancelled');
    expect(rig.sent()).toEqual([]);
    await assertClosesClean(rig);
  });

  it('sends nothing to one that was ejected while it was asked', async () => {
    const rig = polled(
      { mode: 'before-dispatch' },
      (call) => {
        if (call.to === 'a') rig.resolver.push([{ id: 'b', address: 'memory://b' }]);
        call.answer(200, `named_metrics.host=${call.to === 'a' ? 0 : 9}`);
      },
      { endpoints: 2 },
    );
    watch(rig.router.call(GET));
    await rig.clock.settle();
    expect(rig.sent()).toEqual(['b']);
  });
});

it.each([
  { mode: 'sometimes' as 'background' },
  { mode: 'background', path: 'load' } as const,
  { mode: 'background', intervalMs: 1 } as const,
  { mode: 'background', timeoutMs: 0 } as const,
  { mode: 'before-dispatch', choices: 0 } as const,
  { mode: 'before-dispatch', choices: 9 } as const,
])('polling refuses %o', (options) => {
  expect(() => polling(options)).toThrow(/is .*expected/);
});
