import { describe, expect, it } from 'vitest';
import { auto, type Picker, type RouterEvents, random } from '../../../src/router/index.js';
import { assertBalanced, endpointsNamed, routerRig, watch } from '../../support/router-rig.js';

const GET = { path: '/x' };

describe('the pick event', () => {
  it('tells the endpoint, the attempt, and why', async () => {
    const rig = routerRig({ endpoints: 3 });
    const picks: RouterEvents['pick'][] = [];
    rig.router.events.on('pick', (event) => picks.push(event));
    watch(rig.router.call(GET));
    expect(picks).toMatchObject([
      { endpoint: rig.transport.last.to, attempt: 1, picker: 'auto', reason: 'picked', open: 3, inFlight: 0 },
    ]);
    expect(picks[0]?.score).toBeGreaterThan(0);
    expect(picks[0]?.reportAgeMs).toBeUndefined();
    rig.transport.last.fail('unavailable', 'yes');
    expect(picks[1]).toMatchObject({ attempt: 2, endpoint: rig.transport.last.to });
  });

  it('tells what the picker compared, with score, source and age of each', async () => {
    const rig = routerRig({ endpoints: 3 });
    rig.transport.onCall = (call) => call.answer(200, '', ['endpoint-load-metrics', 'TEXT named_metrics.host=4']);
    const picks: RouterEvents['pick'][] = [];
    rig.router.events.on('pick', (event) => picks.push(event));
    watch(rig.router.call(GET));
    await rig.clock.advance(30);
    watch(rig.router.call(GET));
    const [first, second] = picks;
    expect(first?.compared.map(({ endpoint }) => endpoint).sort()).toEqual(['a', 'b', 'c']);
    const told = second?.compared.find(({ endpoint }) => endpoint === first?.endpoint);
    expect(told).toMatchObject({ reportSource: 'response-header', reportAgeMs: 30, inFlight: 0 });
    const others = second?.compared.filter((one) => one !== told) ?? [];
    expect(others.map(({ reportSource, reportAgeMs }) => [reportSource, reportAgeMs])).toEqual(
      [[], []].map(() => [undefined, undefined]),
    );
    expect(second?.score).toBe(second?.compared.find(({ endpoint }) => endpoint === second.endpoint)?.score);
    // The last picks tell the same, while somebody listens.
    expect(rig.router.snapshot().picks[0]).toEqual(second);
  });

  it('goes on without an explanation from a picker whose score throws', async () => {
    const broken = () => {
      throw new Error('no score');
    };
    const rig = routerRig({
      endpoints: 2,
      picker: () => ({ name: 'broken', pickIndex: () => 0, score: broken, onPicked: broken }),
    });
    rig.transport.onCall = (call) => call.answer();
    rig.router.events.on('pick', () => {});
    const call = watch(rig.router.call(GET));
    await rig.clock.settle();
    expect(call.get().status).toBe(200);
    expect(rig.runtime.diagnostics.total).toBe(2);
  });

  it('tells when others had no room, when there was only one, and in panic', () => {
    const first: Picker = { name: 'first', pickIndex: () => 0 };
    const rig = routerRig({ endpoints: 2, picker: () => first, maxInFlightPerEndpoint: 1 });
    const reasons: string[] = [];
    rig.router.events.on('pick', ({ reason }) => reasons.push(reason));
    watch(rig.router.call(GET));
    watch(rig.router.call(GET));
    rig.resolver.push(endpointsNamed(1));
    rig.transport.calls[0]?.fail('unavailable', 'yes');
    expect(reasons).toEqual(['picked', 'others have no room', 'the only one']);
  });

  it('is not built without a listener', () => {
    let scored = 0;
    const picker = (): Picker => ({ name: 'counting', pickIndex: () => 0, score: () => ++scored });
    const rig = routerRig({ picker });
    watch(rig.router.call(GET));
    expect(scored).toBe(0);
    const stop = rig.router.events.on('pick', () => {});
    watch(rig.router.call(GET));
    expect(scored).toBe(1);
    stop();
    watch(rig.router.call(GET));
    expect(scored).toBe(1);
  });

  it('has no score from a picker that compares nothing', () => {
    const rig = routerRig({ picker: random() });
    const scores: unknown[] = [];
    rig.router.events.on('pick', ({ score }) => scores.push(score));
    watch(rig.router.call(GET));
    expect(scores).toEqual([undefined]);
  });
});

it('retry, eject, return, panic, endpoints and broken-report are told', async () => {
  const rig = routerRig({ endpoints: 1, ejection: { consecutiveFailures: 2 } });
  const log: string[] = [];
  const { events } = rig.router;
  events.on('retry', ({ endpoint, attempt, cause }) => log.push(`retry ${endpoint} ${attempt} ${cause}`));
  events.on('eject', ({ endpoint, reason }) => log.push(`eject ${endpoint} ${reason}`));
  events.on('return', ({ endpoint }) => log.push(`return ${endpoint}`));
  events.on('panic', ({ open, known }) => log.push(`panic ${open} of ${known}`));
  events.on('endpoints', ({ endpoints, source }) => log.push(`endpoints ${endpoints} ${source}`));
  events.on('broken-report', ({ endpoint }) => log.push(`broken-report ${endpoint}`));
  rig.resolver.push(endpointsNamed(1));
  rig.transport.onCall = (call) =>
    rig.transport.calls.length < 3
      ? call.answer(503)
      : call.answer(200, '', ['endpoint-load-metrics', 'TEXT cpu_utilization=NaN']);
  watch(rig.router.call(GET));
  await rig.clock.advance(10_000);
  expect(log).toEqual([
    'endpoints 1 live',
    'retry a 1 status 503',
    'panic 0 of 1',
    'eject a 2 failures in a row',
    'retry a 2 status 503',
    'broken-report a',
    'return a',
  ]);
});

describe('a listener that throws', () => {
  it('is reported, and neither call nor counters notice', async () => {
    const rig = routerRig({ endpoints: 2, ejection: { consecutiveFailures: 1 } });
    const names = ['pick', 'retry', 'eject', 'return', 'panic', 'endpoints', 'broken-report', 'health'] as const;
    for (const name of names) {
      rig.router.events.on(name, () => {
        throw new Error(`broken ${name}`);
      });
    }
    const call = watch(rig.router.call(GET));
    rig.transport.last.answer(503, '', ['endpoint-load-metrics', '???']);
    await rig.clock.advance(6000);
    rig.transport.last.answer(200);
    rig.resolver.push(endpointsNamed(3));
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
    expect(rig.runtime.diagnostics.total).toBeGreaterThan(4);
  });
});

describe('what a custom picker does wrong', () => {
  it.each([
    ['an index beyond the list', 99],
    ['a negative index', -1],
    ['NaN', Number.NaN],
    ['a fraction', 0.5],
  ])('(%s) sends the call to the least loaded', async (_what, index) => {
    const rig = routerRig({ endpoints: 3, picker: () => ({ name: 'odd', pickIndex: () => index }) });
    for (let i = 0; i < 6; i++) watch(rig.router.call(GET));
    expect(rig.router.endpoints().map(({ inFlight }) => inFlight)).toEqual([2, 2, 2]);
  });

  it('(a throw) is reported, and the call goes to the least loaded', async () => {
    const picker = (): Picker => ({
      name: 'broken',
      pickIndex: () => {
        throw new Error('broken picker');
      },
    });
    const rig = routerRig({ endpoints: 2, picker });
    for (let i = 0; i < 4; i++) watch(rig.router.call(GET));
    expect(rig.router.endpoints().map(({ inFlight }) => inFlight)).toEqual([2, 2]);
    expect(rig.runtime.diagnostics.snapshot()['router:picker']).toBeGreaterThan(0);
    for (const open of rig.transport.open) open.answer();
    await assertBalanced(rig);
  });
});

describe('the snapshot', () => {
  it('is plain JSON that tells all of it', async () => {
    const rig = routerRig({ endpoints: 2, picker: auto(), maxInFlightPerEndpoint: 1 });
    const calls = Array.from({ length: 3 }, () => watch(rig.router.call(GET)));
    await rig.clock.advance(20);
    rig.transport.calls[0]?.answer(200, '', ['endpoint-load-metrics', 'TEXT named_metrics.host=4']);
    await rig.clock.settle();
    expect(calls[0]?.get().status).toBe(200);
    const snapshot = rig.router.snapshot();
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual({
      service: 's',
      picker: 'auto',
      isPanicking: false,
      tableAgeMs: 0,
      inFlight: 2,
      queued: 0,
      calls: { ok: 1 },
      attempts: 3,
      retries: 0,
      retriesRefused: 0,
      retriesAvailable: 100,
      hedges: 0,
      hedgesWon: 0,
      hedgesRefused: 0,
      wastedMs: 0,
      ejections: 0,
      panics: 0,
      brokenReports: 0,
      staleReports: 0,
      probes: 0,
      wrongShards: 0,
      picks: snapshot.picks.map((one) => JSON.parse(JSON.stringify(one))),
      endpoints: snapshot.endpoints.map((one) => JSON.parse(JSON.stringify(one))),
    });
    expect(snapshot.endpoints).toHaveLength(2);
    const answered = snapshot.endpoints.find(({ endpoint }) => endpoint.id === rig.transport.order[0]);
    expect(answered).toMatchObject({ state: 'open', latencyMs: 20, reportAgeMs: 0, failureShare: 0 });
  });

  it('counts calls by outcome', async () => {
    const rig = routerRig({ endpoints: 1, retry: false, timeoutMs: 50 });
    watch(rig.router.call(GET));
    rig.transport.last.answer(404);
    watch(rig.router.call(GET));
    rig.transport.last.fail('unavailable');
    watch(rig.router.call({ path: 'x' }));
    watch(rig.router.call(GET));
    await rig.clock.advance(60);
    expect(rig.router.snapshot().calls).toEqual({
      ok: 1,
      unavailable: 1,
      'invalid-argument': 1,
      'deadline-exceeded': 1,
    });
  });
});
