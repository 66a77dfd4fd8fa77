import { describe, expect, it } from 'vitest';
import { auto, createTrafficSplit, probePool, type RouterEvents } from '../../../../src/router/index.js';
import {
  assertBalanced,
  assertClosesClean,
  endpointsNamed,
  type RouterRig,
  routerRig,
  watch,
} from '../../../support/router-rig.js';

const GET = { path: '/x' };

/** Endpoint names to outstanding milliseconds; each unit costs 2 ms there. */
type Loads = (id: string) => number;

const report = (ms: number, unit = 2) =>
  `TEXT named_metrics.host=${ms / unit},named_metrics.outstanding-ms=${ms},request_cost.ms=${unit}`;

/** Servers that answer probes by `loads`, and keep calls open. */
function probed(rig: RouterRig, loads: Loads): void {
  rig.transport.onCall = (call) => {
    if (call.request.path === '/load') call.answer(200, '', ['endpoint-load-metrics', report(loads(call.to))]);
  };
}

const probesOf = (rig: RouterRig) => rig.transport.calls.filter(({ request }) => request.path === '/load');
const callsOf = (rig: RouterRig) => rig.transport.calls.filter(({ request }) => request.path !== '/load');

describe('probePool', () => {
  it('lets a call wait for its own probes while there is nothing at hand, and sends it to the least loaded of them', async () => {
    const rig = routerRig({ endpoints: 10, picker: probePool({ probesPerCall: 8 }) });
    probed(rig, (id) => (id === 'c' ? 0 : 100));
    let toC = 0;
    for (let i = 0; i < 20; i++) {
      const call = watch(rig.router.call(GET));
      expect(callsOf(rig)).toHaveLength(i);
      await rig.clock.settle();
      const sent = callsOf(rig).at(-1);
      if (sent?.to === 'c') toC++;
      sent?.answer();
      await rig.clock.advance(50);
      expect(call.get().status).toBe(200);
    }
    // Eight of ten are asked each time.
    expect(toC).toBeGreaterThan(10);
    await assertClosesClean(rig);
  });

  it('does not wait while answers are fresh', async () => {
    const rig = routerRig({ endpoints: 20, picker: probePool() });
    probed(rig, () => 1000);
    for (let i = 0; i < 3; i++) {
      watch(rig.router.call(GET));
      await rig.clock.settle();
    }
    const before = callsOf(rig).length;
    watch(rig.router.call(GET));
    expect(callsOf(rig)).toHaveLength(before + 1);
    for (const call of rig.transport.open) call.answer();
    await assertBalanced(rig);
  });

  it('spends no more probes a second than allowed', async () => {
    const rig = routerRig({ endpoints: 20, picker: probePool({ maxProbesPerSecond: 10 }) });
    probed(rig, () => 10);
    for (let i = 0; i < 100; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
      for (const call of callsOf(rig)) call.answer();
    }
    expect(probesOf(rig).length).toBeLessThanOrEqual(21);
    expect(callsOf(rig)).toHaveLength(100);
    await assertClosesClean(rig);
  });

  it('gives up probes that are not answered, and calls go out all the same', async () => {
    const rig = routerRig({ endpoints: 20, picker: probePool({ timeoutMs: 10 }) });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(8);
    expect(callsOf(rig)).toHaveLength(0);
    await rig.clock.advance(16);
    expect(probesOf(rig).every(({ cancelled }) => cancelled === 'deadline-exceeded')).toBe(true);
    callsOf(rig)[0]?.answer();
    await rig.clock.settle();
    expect(call.get().status).toBe(200);
    expect(rig.router.snapshot().brokenReports).toBe(3);
    await assertClosesClean(rig);
  });

  it('stops probing for a while when nobody answers with a report', async () => {
    const rig = routerRig({ endpoints: 20, picker: probePool() });
    rig.transport.onCall = (call) => call.answer(call.request.path === '/load' ? 404 : 200);
    for (let i = 0; i < 60; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
    }
    const asked = probesOf(rig).length;
    expect(asked).toBeGreaterThanOrEqual(100);
    expect(asked).toBeLessThan(110);
    for (let i = 0; i < 20; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
    }
    expect(probesOf(rig)).toHaveLength(asked);
    await rig.clock.advance(30_000);
    watch(rig.router.call(GET));
    await rig.clock.settle();
    expect(probesOf(rig).length).toBeGreaterThan(asked);
    await assertClosesClean(rig);
  });

  it.each([
    ['NaN', 'TEXT named_metrics.outstanding-ms=NaN,request_cost.ms=2'],
    ['negative', 'TEXT named_metrics.outstanding-ms=-5,request_cost.ms=-2'],
    ['huge', 'TEXT named_metrics.outstanding-ms=1e300,request_cost.ms=1e300'],
    ['empty', 'TEXT '],
    ['garbage', 'JSON {{{'],
  ])('survives a server whose probes are %s', async (_what, lie) => {
    const rig = routerRig({ endpoints: 12, picker: probePool() });
    rig.transport.onCall = (call) => {
      const isProbe = call.request.path === '/load';
      call.answer(200, '', isProbe ? ['endpoint-load-metrics', call.to === 'a' ? lie : report(20)] : []);
    };
    for (let i = 0; i < 100; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(5);
    }
    expect(callsOf(rig)).toHaveLength(100);
    const toA = callsOf(rig).filter(({ to }) => to === 'a').length;
    expect(toA).toBeLessThan(60);
    await assertClosesClean(rig);
  });

  it('forgets answers of endpoints that left the list', async () => {
    const rig = routerRig({ endpoints: 12, picker: probePool({ probesPerCall: 8 }) });
    probed(rig, (id) => (id < 'g' ? 0 : 100));
    for (let i = 0; i < 5; i++) {
      watch(rig.router.call(GET));
      await rig.clock.settle();
    }
    const left = ['g', 'h', 'i', 'j', 'k', 'l'].map((id) => ({ id, address: `memory://${id}` }));
    rig.resolver.push(left);
    for (let i = 0; i < 20; i++) {
      watch(rig.router.call(GET));
      await rig.clock.settle();
    }
    expect(
      callsOf(rig)
        .slice(5)
        .every(({ to }) => to >= 'g'),
    ).toBe(true);
    for (const call of rig.transport.open) call.answer();
    await assertClosesClean(rig);
  });

  it('is turned off and on again by its switch', async () => {
    const probes = { isOn: false };
    const rig = routerRig({ endpoints: 12, picker: probePool(), switches: { probes } });
    probed(rig, () => 5);
    watch(rig.router.call(GET));
    await rig.clock.settle();
    expect(probesOf(rig)).toHaveLength(0);
    probes.isOn = true;
    watch(rig.router.call(GET));
    await rig.clock.settle();
    expect(probesOf(rig)).toHaveLength(3);
    for (const call of rig.transport.open) call.answer();
    await assertClosesClean(rig);
  });

  it('takes the best of answers that come from far away, not the worst', async () => {
    const rig = routerRig({ endpoints: 10, picker: probePool({ probesPerCall: 8, timeoutMs: 400 }) });
    rig.transport.onCall = (call) => {
      if (call.request.path !== '/load') return;
      void rig.clock.sleep(150).then(() => call.answer(200, '', ['endpoint-load-metrics', report(call.to < 'f' ? 0 : 1000)]));
    };
    let bad = 0;
    for (let i = 0; i < 40; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(200);
      const sent = callsOf(rig).at(-1);
      if ((sent?.to ?? '') >= 'f') bad++;
      sent?.answer();
      await rig.clock.advance(500);
    }
    expect(bad).toBeLessThan(8);
  });

  it('probes servers that tell their load and no costs, and calls the least loaded', async () => {
    const rig = routerRig({ endpoints: 10, picker: probePool({ probesPerCall: 8 }) });
    rig.transport.onCall = (call) => {
      if (call.request.path === '/load') call.answer(200, `{"server_load": ${call.to < 'f' ? 0 : 40 + call.to.charCodeAt(0)}}`);
    };
    let bad = 0;
    for (let i = 0; i < 100; i++) {
      watch(rig.router.call(GET));
      await rig.clock.settle();
      const sent = callsOf(rig).at(-1);
      if ((sent?.to ?? '') >= 'f') bad++;
      sent?.answer();
      await rig.clock.advance(50);
    }
    expect(bad).toBeLessThan(10);
  });

  it('spends one budget of probes on all versions together', async () => {
    const endpoints = Array.from({ length: 40 }, (_, i) => ({
      id: `e${i}`,
      address: `memory://e${i}`,
      attributes: { version: `v${i % 10}` },
    }));
    const versions = createTrafficSplit({
      attribute: 'version',
      shares: Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`v${i}`, 1])),
    });
    const rig = routerRig({ endpoints, versions, picker: probePool({ maxProbesPerSecond: 10 }) });
    rig.transport.onCall = (call) => call.answer(200, '', ['endpoint-load-metrics', report(10)]);
    for (let i = 0; i < 100; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
    }
    expect(probesOf(rig).length).toBeLessThanOrEqual(21);
  });

  it('calls the endpoint it chose when the list changed while probes were out', async () => {
    let wrong = 0;
    for (let seed = 1; seed <= 10; seed++) {
      const rig = routerRig({ seed, endpoints: 8, picker: probePool({ probesPerCall: 8, timeoutMs: 20 }) });
      rig.transport.onCall = (call) => {
        if (call.request.path === '/load' && (call.to === 'c' || call.to === 'e'))
          void rig.clock.sleep(1).then(() => call.answer(200, '', ['endpoint-load-metrics', report(call.to === 'c' ? 0 : 500)]));
      };
      watch(rig.router.call(GET));
      await rig.clock.advance(3);
      rig.resolver.push(endpointsNamed(8).slice(1));
      await rig.clock.advance(40);
      const to = callsOf(rig).map((c) => c.to);
      if (to[0] !== 'c') wrong++;
      await rig.router.close();
    }
    expect(wrong).toBe(0);
  });

  it('explains a pick by the scores that were compared, the oldest answers trusted least', async () => {
    const rig = routerRig({ endpoints: 10, picker: probePool({ probesPerCall: 2 }) });
    probed(rig, () => 100);
    const picks: RouterEvents['pick'][] = [];
    rig.router.events.on('pick', (event) => picks.push(event));
    for (let i = 0; i < 40; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(1);
    }
    const compared = picks.filter((pick) => pick.compared.length >= 2);
    expect(compared.length).toBeGreaterThan(20);
    for (const { endpoint, score, compared: all } of compared) {
      expect(all.find((one) => one.endpoint === endpoint)?.score).toBe(score);
      // Nobody was hot: all told the same.
      expect(score).toBe(Math.min(...all.map((one) => one.score as number)));
    }
    await rig.router.close();
  });

  it('fails a call whose list became empty while probes were out', async () => {
    const rig = routerRig({ endpoints: 4, picker: probePool() });
    const call = watch(rig.router.call(GET));
    rig.resolver.push([]);
    for (const probe of rig.transport.open) probe.fail();
    await rig.clock.settle();
    expect(call.error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('no endpoint') });
    await assertClosesClean(rig);
  });

  it('takes an answer of nothing for no report', async () => {
    const rig = routerRig({ endpoints: 20, picker: probePool() });
    rig.transport.onCall = (call) => call.answer(200, '');
    for (let i = 0; i < 200; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
    }
    expect(probesOf(rig).length).toBeLessThan(120);
  });

  it('probes for calls that go out, not for those that find no room', async () => {
    const rig = routerRig({ endpoints: 4, picker: probePool({ probesPerCall: 2 }), maxInFlightPerEndpoint: 1 });
    probed(rig, () => 10);
    for (let i = 0; i < 4; i++) {
      watch(rig.router.call(GET));
      await rig.clock.settle();
    }
    expect(callsOf(rig)).toHaveLength(4);
    watch(rig.router.call(GET));
    await rig.clock.settle();
    const before = probesOf(rig).length;
    for (let i = 0; i < 20; i++) {
      watch(rig.router.call(GET));
      await rig.clock.settle();
    }
    expect(callsOf(rig)).toHaveLength(4);
    expect(probesOf(rig).length).toBe(before);
    callsOf(rig)[0]?.answer();
    await rig.clock.settle();
    expect(callsOf(rig)).toHaveLength(5);
    expect(probesOf(rig).length).toBe(before + 2);
    await rig.router.close();
  });

  it('settles calls that wait for probes when it is closed', async () => {
    const rig = routerRig({ endpoints: 20, picker: probePool({ timeoutMs: 1000 }), timeoutMs: 300 });
    const calls = Array.from({ length: 30 }, () => watch(rig.router.call(GET)));
    await rig.clock.advance(400);
    await rig.router.close();
    await rig.clock.advance(8);
    expect(calls.every(({ isSettled }) => isSettled)).toBe(true);
    expect(rig.clock.pending).toBe(0);
  });

  it('keeps answers to probes over changes of the list', async () => {
    const rig = routerRig({ endpoints: 20, picker: probePool() });
    rig.transport.onCall = (call) => {
      if (call.request.path === '/load')
        void rig.clock.sleep(3).then(() => call.answer(200, '', ['endpoint-load-metrics', report(call.to < 'f' ? 0 : 500)]));
    };
    let bad = 0;
    for (let i = 0; i < 100; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(1);
      // Another endpoint, of no matter to the twenty, comes or goes every 2 ms.
      rig.resolver.push([...endpointsNamed(20), ...(i % 2 ? [{ id: 'zz', address: 'memory://zz' }] : [])]);
      await rig.clock.advance(20);
      const sent = callsOf(rig).at(-1);
      if (sent !== undefined && !(sent.to < 'f')) bad++;
      sent?.answer();
      await rig.clock.advance(20);
    }
    expect(bad).toBeLessThan(25);
  });
});

describe('auto', () => {
  /** Answers calls after `latencyMs` with a load header. */
  function answering(rig: RouterRig, latencyMs: number): void {
    rig.transport.onCall = (call) => {
      const headers = ['endpoint-load-metrics', report(10)];
      if (call.request.path === '/load') call.answer(200, '', headers);
      else void rig.clock.sleep(latencyMs).then(() => call.answer(200, '', headers));
    };
  }

  async function callEvery(rig: RouterRig, gapMs: number, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(gapMs);
    }
    await rig.clock.advance(1000);
  }

  it('does not probe a small fleet', async () => {
    const rig = routerRig({ endpoints: 7, picker: auto() });
    answering(rig, 20);
    await callEvery(rig, 100, 50);
    expect(probesOf(rig)).toHaveLength(0);
    await assertClosesClean(rig);
  });

  it('does not probe while headers are fresh enough', async () => {
    const rig = routerRig({ endpoints: 10, picker: auto() });
    answering(rig, 20);
    await callEvery(rig, 1, 500);
    expect(probesOf(rig)).toHaveLength(0);
    await assertClosesClean(rig);
  });

  it('probes when calls are so seldom that headers are too old, and stops when they come thick again', async () => {
    const rig = routerRig({ endpoints: 10, picker: auto() });
    answering(rig, 20);
    await callEvery(rig, 50, 200);
    const seldom = probesOf(rig).length;
    expect(seldom).toBeGreaterThan(400);
    await callEvery(rig, 0.5, 2000);
    const after = probesOf(rig).length;
    await callEvery(rig, 0.5, 500);
    expect(probesOf(rig).length).toBe(after);
    await assertClosesClean(rig);
  });

  it('does not probe where nobody tells what requests cost', async () => {
    const rig = routerRig({ endpoints: 10, picker: auto() });
    rig.transport.onCall = (call) => void rig.clock.sleep(20).then(() => call.answer());
    await callEvery(rig, 50, 100);
    expect(probesOf(rig)).toHaveLength(0);
    await assertClosesClean(rig);
  });

  it('does not probe for calls of less than a millisecond', async () => {
    const rig = routerRig({ endpoints: 10, picker: auto() });
    answering(rig, 0.5);
    await callEvery(rig, 50, 100);
    expect(probesOf(rig)).toHaveLength(0);
    await assertClosesClean(rig);
  });
});
