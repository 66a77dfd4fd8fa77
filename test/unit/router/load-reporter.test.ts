import { describe, expect, it } from 'vitest';
import { decodeLoadHeader, type LoadSample } from '../../../src/core/index.js';
import { createLoadReporter, type FetchHandler, type LoadReporterOptions } from '../../../src/router/index.js';
import { fakeRuntime } from '../../support/fake-host.js';

function reporterOf(options: LoadReporterOptions = {}) {
  const runtime = fakeRuntime();
  const reporter = createLoadReporter({ runtime, ...options });
  const serve = (handler: FetchHandler, path = '/x', init?: RequestInit) =>
    reporter.fetch(handler)(new Request(`http://server${path}`, init));
  const read = (key: string): LoadSample => runtime.load.counter(key).read();
  return { runtime, reporter, serve, read };
}

const told = (response: Response) => decodeLoadHeader(response.headers.get('endpoint-load-metrics') ?? '');

describe('a handler of the fetch style', () => {
  it('is counted while it works, and its response tells the load of that moment', async () => {
    const { serve, read } = reporterOf({ capacity: 4 });
    const waiting = [serve(() => new Promise(() => {})), serve(() => new Promise(() => {}))];
    expect(waiting).toHaveLength(2);
    const response = await serve(() => new Response('hello', { status: 201, statusText: 'Made', headers: { 'x-a': '1' } }));
    expect(told(response)).toMatchObject({ applicationUtilization: 0.75, namedMetrics: { host: 3 } });
    expect([response.status, response.statusText, response.headers.get('x-a')]).toEqual([201, 'Made', '1']);
    expect(await response.text()).toBe('hello');
    expect(read('host')).toMatchObject({ inFlight: 2, weight: 2 });
  });

  it('is in flight until its body was read to the end', async () => {
    const { serve, read } = reporterOf();
    const response = await serve(() => new Response('a long answer'));
    expect(read('host').inFlight).toBe(1);
    await response.text();
    expect(read('host').inFlight).toBe(0);
  });

  it('ends when the reader of its body leaves, and that says nothing of the server', async () => {
    const { serve, read } = reporterOf();
    let cancelled: unknown;
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(1)),
      cancel: (reason) => {
        cancelled = reason;
      },
    });
    const response = await serve(() => new Response(body));
    await response.body?.cancel('enough');
    expect(cancelled).toBe('enough');
    expect(read('host')).toMatchObject({ inFlight: 0, ratePerSecond: 0 });
  });

  it('whose body breaks is an error', async () => {
    const { serve, read } = reporterOf();
    const body = new ReadableStream({
      pull: (controller) => controller.error(new Error('broken')),
    });
    const response = await serve(() => new Response(body));
    await expect(response.text()).rejects.toThrow('broken');
    expect(read('host')).toMatchObject({ inFlight: 0, errorsPerSecond: 1 });
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('broken handler');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken handler'))],
  ])('that %s is an error, and what it threw is thrown on', async (_what, handler) => {
    const { serve, read } = reporterOf();
    await expect(serve(handler)).rejects.toThrow('broken handler');
    expect(read('host')).toMatchObject({ inFlight: 0, errorsPerSecond: 1 });
  });

  it('that returns no response is an error', async () => {
    const { serve, read } = reporterOf();
    await expect(serve(() => undefined as unknown as Response)).rejects.toThrow();
    expect(read('host').inFlight).toBe(0);
  });

  it.each([
    [200, 'ended well', 0],
    [404, 'ended well', 0],
    [429, 'turned away', 1],
    [503, 'turned away', 1],
    [500, 'failed', 1],
  ])('with status %i has %s', async (status, _how, errors) => {
    const { serve, read } = reporterOf();
    await (await serve(() => new Response(null, { status }))).text();
    expect(read('host')).toMatchObject({ inFlight: 0, ratePerSecond: 1, errorsPerSecond: errors });
  });

  it('keeps headers that stand twice, and answers without a body', async () => {
    const { serve } = reporterOf();
    const headers = new Headers([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
    const response = await serve(() => new Response(null, { status: 204, headers }));
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(response.body).toBeNull();
  });
});

describe('the model of a request', () => {
  it('is counted beside the host, and only it is told', async () => {
    const { serve, read, runtime } = reporterOf();
    runtime.load.counter('model:other').begin();
    const response = await serve((_request, call) => {
      call.model('llama');
      call.reweigh(30);
      return new Response('x');
    });
    expect(told(response).namedMetrics).toEqual({ host: 30, 'model:llama': 30 });
    expect(read('model:llama')).toMatchObject({ inFlight: 1, weight: 30 });
    await response.text();
    expect(read('model:llama')).toMatchObject({ inFlight: 0, weight: 0 });
    expect(read('host').weight).toBe(0);
  });

  it('is named by the head where that tells', async () => {
    const { serve } = reporterOf({ modelOf: ({ path, method }) => (method === 'GET' ? path.split('/')[2] : undefined) });
    expect(told(await serve(() => new Response(null), '/m/qwen')).namedMetrics).toEqual({ host: 1, 'model:qwen': 1 });
    const other = await serve(() => new Response(null), '/m/qwen', { method: 'POST' });
    expect(told(other).namedMetrics).toEqual({ host: 1 });
  });

  it('may change its mind: one model is counted at a time', async () => {
    const { serve, read } = reporterOf({ modelOf: () => 'guess' });
    await serve((_request, call) => {
      call.model('truth');
      expect(read('model:guess').inFlight).toBe(0);
      expect(read('model:truth').inFlight).toBe(1);
      return new Response(null);
    });
    expect(read('model:truth').inFlight).toBe(0);
  });

  it('named after the caller has gone is not counted', async () => {
    const { serve, read } = reporterOf();
    let name = (_model: string) => {};
    const response = await serve((_request, call) => {
      name = (model) => call.model(model);
      return new Response('x');
    });
    await response.body?.cancel();
    name('late');
    expect(read('model:late').inFlight).toBe(0);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['gives no text', () => 400 as unknown as string],
  ])('is unknown, and reported, when the one who names it %s', async (_what, modelOf) => {
    const { serve, runtime, read } = reporterOf({ modelOf });
    const response = await serve(() => new Response('fine'));
    expect(await response.text()).toBe('fine');
    expect(runtime.diagnostics.total).toBe(1);
    expect(read('host').inFlight).toBe(0);
  });
});

describe('the load route', () => {
  it('answers a GET with all but endpoints, and is not counted', async () => {
    const { serve, runtime } = reporterOf({ capacity: 10 });
    runtime.load.counter('model:m').begin();
    runtime.load.counter('endpoint:e').begin();
    for (const path of ['/load', '/load?x=1']) {
      const response = await serve(() => new Response('not reached'), path);
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(await response.json()).toMatchObject({ application_utilization: 0, named_metrics: { host: 0, 'model:m': 1 } });
    }
    expect(await (await serve(() => new Response('reached'), '/load', { method: 'POST' })).text()).toBe('reached');
    expect(await (await serve(() => new Response('reached'), '/loader')).text()).toBe('reached');
  });

  it('is elsewhere or nowhere when told so', async () => {
    const elsewhere = reporterOf({ route: '/_/load' });
    expect((await elsewhere.serve(() => new Response('x'), '/_/load')).headers.get('content-type')).toBe('application/json');
    const nowhere = reporterOf({ route: false });
    expect(await (await nowhere.serve(() => new Response('reached'), '/load')).text()).toBe('reached');
    expect(() => reporterOf({ route: 'load' })).toThrow(/route is/);
  });
});

describe('the context of a request', () => {
  const contextOf = async (headers: Record<string, string>, options: LoadReporterOptions = {}) => {
    const { serve, runtime } = reporterOf(options);
    await runtime.clock.advance(1000);
    let context: unknown;
    const response = await serve(
      (_request, call) => {
        context = call.context;
        return new Response(null);
      },
      '/x',
      { headers },
    );
    return { status: response.status, context };
  };

  it('is read from its headers, in either form', async () => {
    expect((await contextOf({ 'evenkeel-timeout-ms': '250' })).context).toEqual({ criticality: 'critical', deadline: 1250 });
    expect((await contextOf({ 'grpc-timeout': '2S' })).context).toEqual({ criticality: 'critical', deadline: 3000 });
    expect((await contextOf({})).context).toEqual({ criticality: 'critical' });
  });

  it('with a malformed deadline is answered 400 before the handler, and counted nowhere', async () => {
    for (const value of ['soon', '-1', '1e3', '1234567890123', '']) {
      const { status, context } = await contextOf({ 'evenkeel-timeout-ms': value });
      expect([value, status, context]).toEqual([value, 400, undefined]);
    }
    const { serve, read } = reporterOf();
    const response = await serve(() => new Response('x'), '/x', { headers: { 'grpc-timeout': '5 minutes' } });
    expect(await response.text()).toMatch(/grpc-timeout is/);
    expect(read('host')).toMatchObject({ inFlight: 0, ratePerSecond: 0 });
  });

  it('is capped: the deadline at an hour, the criticality of those not trusted', async () => {
    const claim = { baggage: 'evenkeel.criticality=critical-plus', 'evenkeel-timeout-ms': '999999999' };
    expect((await contextOf(claim)).context).toEqual({ criticality: 'critical', deadline: 3_601_000 });
    expect((await contextOf(claim, { maxTimeoutMs: 500 })).context).toMatchObject({ deadline: 1500 });
    expect((await contextOf(claim, { untrustedCriticality: 'sheddable' })).context).toMatchObject({ criticality: 'sheddable' });
    expect((await contextOf(claim, { trusted: () => true })).context).toMatchObject({ criticality: 'critical-plus' });
    // A request of the fetch style does not tell its address: no list can hold it.
    expect((await contextOf(claim, { trusted: ['127.0.0.1', ''] })).context).toMatchObject({ criticality: 'critical' });
  });

  it('is that of an untrusted caller when the judge throws', async () => {
    const trusted = () => {
      throw new Error('broken judge');
    };
    const { context } = await contextOf({ baggage: 'evenkeel.criticality=critical-plus' }, { trusted });
    expect(context).toEqual({ criticality: 'critical' });
  });

  it('is in force around the handler where asked for', async () => {
    const { serve, runtime } = reporterOf({ ambient: true });
    let found: unknown;
    await serve(
      async () => {
        await Promise.resolve();
        found = runtime.ambient.get();
        return new Response(null);
      },
      '/x',
      { headers: { 'evenkeel-timeout-ms': '100' } },
    );
    expect(found).toEqual({ criticality: 'critical', deadline: 100 });
    expect(runtime.ambient.get()).toBeUndefined();
  });
});

describe('the report in a header', () => {
  it.each(['text', 'json', 'binary'] as const)('is written as %s and read back', async (format) => {
    const { serve } = reporterOf({ format });
    expect(told(await serve(() => new Response(null))).namedMetrics).toEqual({ host: 1 });
  });

  it('leaves the signals out when they would not fit', async () => {
    const { serve, runtime } = reporterOf({ modelOf: () => 'm' });
    for (let i = 0; i < 40; i++) runtime.load.signal(`signal-with-a-long-name-${i}`, () => 0.123456, { kind: 'utilization' });
    const report = told(await serve(() => new Response('fine')));
    expect(report.utilization).toBeUndefined();
    expect(report.namedMetrics).toEqual({ host: 1, 'model:m': 1 });
    expect(runtime.diagnostics.total).toBe(0);
  });

  it.each([
    ['256 characters', 'x'.repeat(256), `model:${'x'.repeat(250)}`],
    ['400 characters', 'x'.repeat(400), `model:${'x'.repeat(250)}`],
    ['256 characters that are percent-encoded', '\u20ac'.repeat(256), undefined],
    ['half a surrogate pair', 'a\ud800', undefined],
  ])('is there for a model with a name of %s', async (_what, name, key) => {
    for (const format of ['text', 'json', 'binary'] as const) {
      const { serve, runtime } = reporterOf({ modelOf: () => name, format });
      const { namedMetrics } = told(await serve(() => new Response('fine')));
      expect(namedMetrics?.host).toBe(1);
      if (key !== undefined) expect(namedMetrics?.[key]).toBe(1);
      expect(runtime.diagnostics.total).toBe(0);
      expect((await serve(() => new Response('not reached'), '/load')).status).toBe(200);
    }
  });

  it('can be asked for by code', () => {
    const { reporter, runtime } = reporterOf({ capacity: 2 });
    runtime.load.counter('model:m').begin(5);
    expect(reporter.report(['m']).namedMetrics).toEqual({ host: 0, 'model:m': 5 });
    expect(reporter.report().namedMetrics).toEqual({ host: 0 });
  });

  it('of an unknown format or capacity is refused at once', () => {
    expect(() => reporterOf({ format: 'xml' as 'text' })).toThrow(/format is/);
    expect(() => reporterOf({ capacity: 0 })).toThrow(/capacity is/);
  });
});
