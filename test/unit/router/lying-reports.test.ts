/** What servers tell that cannot be, and what is told of servers that are gone. */
import { describe, expect, it } from 'vitest';
import { auto, parseEngineMetrics } from '../../../src/router/index.js';
import { costThere } from '../../../src/router/pickers/load.js';
import { endpointsNamed, routerRig, watch } from '../../support/router-rig.js';
import { candidate, make, picked, request, setOf } from './pickers/candidates.js';

const GET = { path: '/x' };
const report = (ms: number, unit = 2) =>
  `TEXT named_metrics.host=${ms / unit},named_metrics.outstanding-ms=${ms},request_cost.ms=${unit}`;

describe('reports that lie', () => {
  it('one of outstanding work without end (1.7e308 ms at a cost of 0.1 ms) does not blind the router for good', () => {
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
    for (let i = 0; i < 100; i++) if (picked(picker, set, request(1000)) === 1) toB++;
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

describe('a report', () => {
  it.each([1, 5, 9])('that came %d ms after the call it was asked for still lets more own work cost more', (rtt) => {
    const one = candidate('a');
    one.fleet.othersPerOwn = 50;
    one.onReport({ requestCost: { ms: 2 }, namedMetrics: { 'outstanding-ms': 100 } }, 1000 + rtt);
    one.fleet.othersPerOwn = 50;
    const asked = request(1000);
    const idle = costThere(one, asked);
    one.counter.enter(10);
    const busy = costThere(one, asked);
    expect(busy).toBeGreaterThan(idle);
  });

  it('of an endpoint that is gone is not kept', async () => {
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
});
