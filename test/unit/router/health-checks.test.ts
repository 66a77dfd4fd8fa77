import { describe, expect, it } from 'vitest';
import type { HealthOptions } from '../../../src/router/index.js';
import type { PuppetCall } from '../../support/puppet-transport.js';
import { assertClosesClean, endpointsNamed, type RigOptions, routerRig, watch } from '../../support/router-rig.js';

/** Servers that answer checks as the test says; everything else stays open. */
function checkedRig(health: HealthOptions, answer: (call: PuppetCall) => void, options: RigOptions = {}) {
  const rig = routerRig({ endpoints: 4, health, ...options });
  const log: string[] = [];
  rig.router.events.on('health', ({ endpoint, isHealthy, reason }) => log.push(`${endpoint} ${isHealthy} ${reason}`));
  rig.transport.onCall = (call) => {
    if (call.request.path === (health.path ?? '/health')) answer(call);
  };
  const states = () => rig.router.endpoints().map(({ state }) => state);
  return { ...rig, log, states };
}

describe('a health check', () => {
  it('takes an endpoint out after two failures in a row and back after one success', async () => {
    let status = 503;
    const rig = checkedRig({ intervalMs: 1000 }, (call) => call.answer(call.to === 'a' ? status : 200));
    await rig.clock.advance(1200);
    expect(rig.states()).toEqual(['open', 'open', 'open', 'open']);
    await rig.clock.advance(1200);
    expect(rig.states()).toEqual(['unhealthy', 'open', 'open', 'open']);
    for (let i = 0; i < 20; i++) watch(rig.router.call({ path: '/x' }));
    expect(rig.transport.calls.some(({ to, request }) => to === 'a' && request.path === '/x')).toBe(false);
    status = 204;
    await rig.clock.advance(1200);
    expect(rig.states()[0]).toBe('open');
    expect(rig.log).toEqual(['a false /health answers 503', 'a true ']);
    await assertClosesClean(rig);
  });

  it('of gRPC’s health service goes by what it says, not by its status', async () => {
    let says: number[] = [8, 1];
    const path = '/grpc.health.v1.Health/Check';
    const rig = checkedRig({ path, intervalMs: 1000, unhealthyAfter: 1 }, (call) => {
      call.answer(200, String.fromCharCode(...(call.to === 'a' ? says : [8, 1])));
    });
    await rig.clock.advance(1200);
    expect(rig.states()[0]).toBe('open');
    for (const other of [[8, 2], [], [8, 3]]) {
      says = other;
      await rig.clock.advance(1200);
      expect(rig.states()[0]).toBe('unhealthy');
      says = [8, 1];
      await rig.clock.advance(1200);
      expect(rig.states()[0]).toBe('open');
    }
    await assertClosesClean(rig);
  });

  it('counts failures in a row only, as many as asked for', async () => {
    let n = 0;
    const rig = checkedRig({ intervalMs: 1000, unhealthyAfter: 3, healthyAfter: 2 }, (call) => {
      if (call.to !== 'a') call.answer();
      else call.answer([500, 500, 200, 500, 500, 500, 200, 500, 200, 200][n++] ?? 200);
    });
    const states: string[] = [];
    while (n < 10) {
      await rig.clock.advance(100);
      if (states.length < n) states.push(rig.states()[0] ?? '');
    }
    expect(states).toEqual([...new Array(5).fill('open'), ...new Array(4).fill('unhealthy'), 'open']);
    await rig.router.close();
  });

  it('that never gets an answer fails after its timeout', async () => {
    const rig = checkedRig({ intervalMs: 1000, timeoutMs: 200, unhealthyAfter: 1 }, (call) => {
      if (call.to !== 'b') call.answer();
    });
    await rig.clock.advance(2000);
    expect(rig.states()).toEqual(['open', 'unhealthy', 'open', 'open']);
    await assertClosesClean(rig);
  });

  it('that cannot connect fails, too', async () => {
    const rig = checkedRig({ intervalMs: 1000, unhealthyAfter: 1 }, (call) => {
      if (call.to === 'c') call.fail('unavailable', 'yes');
      else call.answer();
    });
    await rig.clock.advance(1200);
    expect(rig.states()).toEqual(['open', 'open', 'unhealthy', 'open']);
    await rig.router.close();
  });

  it('is judged by the body where asked to; a judge that throws has seen a failure', async () => {
    const rig = checkedRig(
      { intervalMs: 1000, unhealthyAfter: 1, isHealthy: (_status, body) => JSON.parse(Buffer.from(body).toString()).up },
      (call) => call.answer(200, call.to === 'a' ? '{"up":false}' : call.to === 'b' ? 'no json' : '{"up":true}'),
      { endpoints: 8 },
    );
    await rig.clock.advance(1200);
    expect(rig.states().slice(0, 3)).toEqual(['unhealthy', 'unhealthy', 'open']);
    await rig.router.close();
  });

  it('that answers without end fails', async () => {
    const rig = checkedRig({ intervalMs: 1000, unhealthyAfter: 1 }, (call) => {
      call.respond(200);
      if (call.to === 'a') call.data(new Uint8Array(70_000));
      else call.end();
    });
    await rig.clock.advance(1200);
    expect(rig.states()[0]).toBe('unhealthy');
    expect(rig.transport.open).toEqual([]);
    await rig.router.close();
  });

  it('that fails everywhere closes nobody: all known endpoints are used', async () => {
    const rig = checkedRig({ intervalMs: 1000, unhealthyAfter: 1 }, (call) => call.answer(500));
    await rig.clock.advance(1200);
    expect(rig.router.snapshot()).toMatchObject({ isPanicking: true, panics: 1 });
    for (let i = 0; i < 20; i++) watch(rig.router.call({ path: '/x' }));
    expect(rig.router.endpoints().every(({ inFlight }) => inFlight > 0)).toBe(true);
    await rig.router.close();
  });

  it('of an endpoint that is removed meanwhile is without effect, and one that is new is healthy', async () => {
    const rig = checkedRig({ intervalMs: 1000, unhealthyAfter: 1 }, () => {});
    await rig.clock.advance(1150);
    rig.resolver.push(endpointsNamed(6).slice(4));
    await rig.clock.advance(1000);
    expect(rig.log).toEqual([]);
    expect(rig.states()).toEqual(['open', 'open']);
    await assertClosesClean(rig);
  });

  it('is not a call: it counts nowhere', async () => {
    const rig = checkedRig({ intervalMs: 1000 }, () => {});
    await rig.clock.advance(1100);
    expect(rig.router.snapshot()).toMatchObject({ inFlight: 0, attempts: 0 });
    expect(rig.router.endpoints().every(({ inFlight }) => inFlight === 0)).toBe(true);
    await rig.router.close();
  });
});

it.each([{ path: 'health' }, { intervalMs: 1 }, { timeoutMs: 0 }, { unhealthyAfter: 0 }, { healthyAfter: 0.5 }])(
  'refuses %o and leaves nothing running',
  async (health) => {
    const rig = routerRig();
    expect(() => routerRig({ runtime: rig.runtime, health })).toThrow(/health\./);
    await assertClosesClean(rig);
  },
);
