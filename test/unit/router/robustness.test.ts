/** Servers that lie, lists that change under a call, names that collide: what a picker must live through. */
import { describe, expect, it } from 'vitest';
import { auto, createTrafficSplit, parseEngineMetrics, probePool, ringHash } from '../../../src/router/index.js';
import { endpointsNamed, type RouterRig, routerRig, watch } from '../../support/router-rig.js';
import { candidate, make, request, setOf } from './pickers/candidates.js';

const GET = { path: '/x' };
const report = (ms: number, unit = 2) =>
  `TEXT named_metrics.host=${ms / unit},named_metrics.outstanding-ms=${ms},request_cost.ms=${unit}`;
const callsOf = (rig: RouterRig) => rig.transport.calls.filter(({ request }) => request.path !== '/load');
const probesOf = (rig: RouterRig) => rig.transport.calls.filter(({ request }) => request.path === '/load');

describe('probePool', () => {
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
});

describe('reports that lie', () => {
  it('two small lies (1e308 outstanding at 0.1 ms) do not blind the router for good', () => {
    const list = [candidate('a'), candidate('b'), candidate('c'), candidate('d')];
    const fleet = (list[0] as (typeof list)[number]).fleet;
    for (const one of list) Object.assign(one, { fleet });
    fleet.ownInFlight = 1;
    fleet.endpoints = 4;
    list[0]?.onReport({ requestCost: { ms: 0.1 }, namedMetrics: { 'outstanding-ms': 1.7e308 } }, 0);
    for (let i = 1; i < 1000; i++)
      for (const one of list)
        one.onReport({ requestCost: { ms: 2 }, namedMetrics: { 'outstanding-ms': one === list[1] ? 0 : 500 } }, i);
    const picker = make(auto());
    const set = setOf(list);
    let toB = 0;
    for (let i = 0; i < 100; i++) if (picker.pickIndex(set, request(1000)) === 1) toB++;
    expect(toB).toBeGreaterThan(95);
  });

  it('one huge cost does not starve endpoints that have told nothing yet', async () => {
    const rig = routerRig({ endpoints: 4, picker: auto({ probes: false }) });
    let lies = 1;
    rig.transport.onCall = (call) => {
      // One garbled answer, ever.
      const lie = call.to === 'a' && lies-- > 0;
      void rig.clock
        .sleep(5)
        .then(() => call.answer(200, '', ['endpoint-load-metrics', lie ? report(1e300, 1e300) : report(20)]));
    };
    for (let i = 0; i < 300; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
    }
    rig.resolver.push(endpointsNamed(5));
    const from = rig.transport.calls.length;
    for (let i = 0; i < 2000; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(2);
    }
    const toE = rig.transport.order.slice(from).filter((id) => id === 'e').length;
    expect(toE).toBeGreaterThan(50);
  });

  it('one of eight servers that claims 1e300 utilisation does not empty its ring', async () => {
    const endpoints = Array.from({ length: 16 }, (_, i) => ({
      id: `${i < 8 ? 'near' : 'far'}${i}`,
      address: `memory://${i}`,
      locality: i < 8 ? 'eu/west/a' : 'us/east/a',
    }));
    const rig = routerRig({ endpoints, locality: 'eu/west/a' });
    rig.transport.onCall = (call) =>
      call.answer(200, '', ['endpoint-load-metrics', `TEXT application_utilization=${call.to === 'near0' ? 1e300 : 0.2}`]);
    for (let i = 0; i < 1000; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
    }
    const far = rig.transport.order.slice(-300).filter((id) => id.startsWith('far')).length;
    expect(far).toBeLessThan(30);
  });
});

describe('ringHash', () => {
  it('ids that differ in their first letter share the keys alike', () => {
    const counts: Record<string, unknown> = {};
    for (const ids of [
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'],
      ['a-cache:80', 'b-cache:80', 'c-cache:80', 'd-cache:80'],
      ['10.0.0.1:80', '20.0.0.1:80', '30.0.0.1:80', '40.0.0.1:80'],
    ]) {
      const set = setOf(ids.map((id) => candidate(id)));
      const picker = make(ringHash({ loadFactor: Number.POSITIVE_INFINITY }));
      const per = new Array(ids.length).fill(0);
      for (let i = 0; i < 10_000; i++) per[picker.pickIndex(set, request(0, { affinity: [`key ${i}`] }))]++;
      counts[ids[0] as string] = per;
    }
    for (const per of Object.values(counts) as number[][]) expect(Math.max(...per)).toBeLessThan((2 * 10_000) / per.length);
  });

  it.each([100, 1, 0.1])('bounded load holds whatever unit weights are in (%d)', (weight) => {
    const set = setOf(Array.from({ length: 10 }, (_, i) => candidate(`e${i}`, { weight })));
    const picker = make(ringHash());
    for (let i = 0; i < 50; i++) {
      const index = picker.pickIndex(set, request(0, { affinity: ['hot'] }));
      set.candidates[index]?.counter.enter(1);
    }
    const most = Math.max(...set.candidates.map(({ counter }) => counter.weight));
    expect(most).toBeLessThanOrEqual(8);
  });
});

describe('switches', () => {
  it('uses all endpoints as soon as subsets are turned off', async () => {
    const subsets = { isOn: true };
    const rig = routerRig({ endpoints: 100, subset: { maxEndpoints: 12 }, switches: { subsets } });
    rig.transport.onCall = (call) => call.answer();
    watch(rig.router.call(GET));
    await rig.clock.advance(10);
    subsets.isOn = false;
    for (let i = 0; i < 1000; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
    }
    expect(new Set(rig.transport.order).size).toBeGreaterThan(80);
  });

  it('is not sticky by ringHash while affinity is turned off', async () => {
    const rig = routerRig({ endpoints: 20, picker: ringHash(), switches: { affinity: { isOn: false } } });
    rig.transport.onCall = (call) => call.answer();
    for (let i = 0; i < 100; i++) {
      watch(rig.router.call({ ...GET, affinity: ['k'] }));
      await rig.clock.advance(10);
    }
    expect(new Set(rig.transport.order).size).toBeGreaterThan(5);
  });
});

describe('rest', () => {
  it('a split moves by its step after a quiet time', () => {
    const split = createTrafficSplit({ attribute: 'version', shares: { a: 1 } });
    split.at(0);
    split.moveTo({ b: 1 }); // at 60,000, after a quiet minute
    const first = split.at(60_000);
    expect(first?.get('b') ?? 0).toBeLessThan(0.1);
  });

  it('tells apart versions with any name', async () => {
    const endpoints = endpointsNamed(10).map((e, i) => ({ ...e, attributes: { version: i === 0 ? 'sha=1' : 'sha=2' } }));
    const rig = routerRig({ endpoints, versions: createTrafficSplit({ attribute: 'version', shares: { 'sha=1': 1 } }) });
    for (let i = 0; i < 50; i++) watch(rig.router.call(GET));
    expect(new Set(rig.transport.order)).toEqual(new Set(['a']));
  });

  it('weightOf that throws leaves the old list in use, not a torn one', async () => {
    const rig = routerRig({
      endpoints: 3,
      weightOf: ({ id }) => {
        if (id === 'x') throw new Error('no such kind');
        return 1;
      },
    });
    try {
      rig.resolver.push([
        { id: 'x', address: 'memory://x' },
        { id: 'y', address: 'memory://y' },
      ]);
    } catch {}
    watch(rig.router.call(GET));
    const used = rig.transport.order.at(-1);
    expect(rig.router.endpoints().map((e) => e.endpoint.id)).toContain(used);
  });

  it.each([0, -1, Number.NaN])('weightOf that tells %d is refused or ignored', (bad) => {
    const rig = routerRig({
      endpoints: 10,
      picker: ringHash({ loadFactor: Number.POSITIVE_INFINITY }),
      weightOf: ({ id }) => (id === 'a' ? bad : 1),
    });
    for (let i = 0; i < 200; i++) watch(rig.router.call({ ...GET, affinity: ['k'] }));
    expect(new Set(rig.transport.order).size).toBe(1);
  });

  it('what a removed endpoint answers is not kept for ever', async () => {
    const rig = routerRig({ endpoints: 2 });
    for (let i = 0; i < 10; i++) watch(rig.router.call(GET));
    const open = rig.transport.open;
    rig.resolver.push([{ id: 'q', address: 'memory://q' }]);
    for (const call of open) call.answer(200, '', ['endpoint-load-metrics', report(10)]);
    await rig.clock.settle();
    expect(rig.runtime.load.remote('a') ?? rig.runtime.load.remote('b')).toBe(undefined);
  });

  it('takes a page that does not say how many run for broken, not for idle', () => {
    expect(() => parseEngineMetrics('vllm:num_requests_running NaN\nvllm:num_requests_waiting 0\n')).toThrow();
  });

  it('tells no score, and not NaN, of a picker behind a switch that compares nothing', () => {
    const rig = routerRig({ endpoints: 3, picker: ringHash(), switches: { picker: { isOn: true } } });
    let score: unknown = 'none';
    rig.router.events.on('pick', (e) => {
      score = e.score;
    });
    watch(rig.router.call(GET));
    expect(score).toBe(undefined);
  });
});

import { costThere } from '../../../src/router/pickers/load.js';

describe('second batch', () => {
  it.each([1, 5, 9])('with the default probe timeout (10 ms), an answer after %d ms: more own work costs more', (rtt) => {
    const one = candidate('a');
    one.fleet.othersPerOwn = 50; // fifty clients
    one.onReport({ requestCost: { ms: 2 }, namedMetrics: { 'outstanding-ms': 100 } }, 1000 + rtt);
    one.fleet.othersPerOwn = 50;
    const asked = request(1000); // the call's `now` is that of the question
    const idle = costThere(one, asked);
    one.counter.enter(10);
    const busy = costThere(one, asked);
    expect(busy).toBeGreaterThan(idle);
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

  it('takes an answer of nothing for no report', async () => {
    const rig = routerRig({ endpoints: 20, picker: probePool() });
    rig.transport.onCall = (call) => call.answer(200, '');
    for (let i = 0; i < 200; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(10);
    }
    expect(probesOf(rig).length).toBeLessThan(120);
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
});

describe('probePool over a list that flaps', () => {
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
