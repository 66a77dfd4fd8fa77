import { describe, expect, it } from 'vitest';
import { createLoadBoard, virtualClock } from '../../../src/core/index.js';
import { EndpointTable, type Member } from '../../../src/router/endpoint-table.js';
import { FakeHost } from '../../support/fake-host.js';
import { assertBalanced, endpointsNamed, routerRig, watch } from '../../support/router-rig.js';

function tableOf(panicThreshold: number, size: number) {
  const panics: [open: number, known: number][] = [];
  const load = createLoadBoard({ clock: virtualClock(), host: new FakeHost() });
  const table = new EndpointTable(load, panicThreshold, {
    onRemove() {},
    onPanic: (open, known) => panics.push([open, known]),
  });
  table.update(endpointsNamed(size));
  const set = (count: number, change: (member: Member) => void) => {
    for (const member of [...table.members()].slice(0, count)) change(member);
    table.refresh();
  };
  return { table, panics, set, load };
}

describe('the panic threshold', () => {
  it('uses all known endpoints when fewer than half are open, and tells once', () => {
    const { table, panics, set } = tableOf(0.5, 6);
    set(3, (member) => {
      member.isHealthy = false;
    });
    expect([table.isPanicking, table.candidates.length]).toEqual([false, 3]);
    set(4, (member) => {
      member.isHealthy = false;
    });
    expect([table.isPanicking, table.candidates.length]).toEqual([true, 6]);
    set(5, (member) => {
      member.isEjected = true;
    });
    expect(panics).toEqual([[2, 6]]);
    set(6, (member) => {
      member.isHealthy = true;
      member.isEjected = false;
    });
    expect([table.isPanicking, table.candidates.length]).toEqual([false, 6]);
  });

  it('never panics at 0, and is calm with nobody known', () => {
    const { table, panics, set } = tableOf(0, 2);
    set(2, (member) => {
      member.isHealthy = false;
    });
    expect(table.candidates).toEqual([]);
    table.update([]);
    expect(panics).toEqual([]);
    expect(table.isPanicking).toBe(false);
  });
});

describe('a new list', () => {
  it('keeps members that stay, with what is known of them', () => {
    const { table } = tableOf(0.5, 3);
    const [, second] = table.members();
    second?.onEnd('ok', 12, 0, 1);
    const before = table.version;
    table.update(endpointsNamed(5).slice(1));
    expect([...table.members()].map(({ endpoint }) => endpoint.id)).toEqual(['b', 'c', 'd', 'e']);
    expect([...table.members()][0]).toBe(second);
    expect(table.version).toBeGreaterThan(before);
  });

  it('drops the counter and the report of an endpoint that is gone', () => {
    const { table, load } = tableOf(0.5, 2);
    load.setRemote('a', {});
    table.update(endpointsNamed(2).slice(1));
    expect([...load.keys()]).toEqual(['endpoint:b']);
    expect(load.remote('a')).toBeUndefined();
  });

  it('takes an endpoint with another address or weight for a new one', () => {
    for (const changed of [
      { id: 'a', address: 'memory://z' },
      { id: 'a', address: 'memory://a', weight: 2 },
    ]) {
      const { table } = tableOf(0.5, 1);
      const [old] = table.members();
      table.update([changed]);
      const [fresh] = table.members();
      expect(fresh).not.toBe(old);
      expect(old?.isRemoved).toBe(true);
      expect(fresh?.counter).not.toBe(old?.counter);
    }
  });
});

describe('an endpoint that is removed', () => {
  it('gets no new call, ends those in flight well, and is forgotten after the last', async () => {
    const rig = routerRig({ endpoints: 2 });
    const { router, resolver, transport } = rig;
    const calls = Array.from({ length: 6 }, () => watch(router.call({ path: '/x' })));
    const toA = transport.calls.filter(({ to }) => to === 'a');
    expect(toA.length).toBeGreaterThan(0);
    resolver.push(endpointsNamed(2).slice(1));
    expect(transport.forgotten).toEqual([]);
    for (let i = 0; i < 20; i++) calls.push(watch(router.call({ path: '/x' })));
    expect(transport.calls.slice(6).every(({ to }) => to === 'b')).toBe(true);
    toA.forEach((call, i) => {
      expect(transport.forgotten).toEqual([]);
      call.answer(200, String(i));
    });
    expect(transport.forgotten).toEqual(['memory://a']);
    for (const call of transport.open) call.answer();
    await assertBalanced(rig);
    for (const call of calls) expect(call.get().status).toBe(200);
  });

  it('is forgotten at once when nothing is in flight there', () => {
    const { resolver, transport } = routerRig({ endpoints: 2 });
    resolver.push(endpointsNamed(1));
    expect(transport.forgotten).toEqual(['memory://b']);
  });

  it('is new when it comes back, and its connections are not dropped by the end of old calls', async () => {
    const rig = routerRig({ endpoints: 1 });
    const old = watch(rig.router.call({ path: '/old' }));
    rig.resolver.push([{ id: 'z', address: 'memory://z' }]);
    rig.resolver.push(endpointsNamed(1));
    const fresh = watch(rig.router.call({ path: '/new' }));
    expect(rig.router.endpoints()).toMatchObject([{ inFlight: 1 }]);
    rig.transport.calls[0]?.answer();
    expect(rig.transport.forgotten).toEqual(['memory://z']);
    rig.transport.calls[1]?.answer();
    await assertBalanced(rig);
    expect([old.get().status, fresh.get().status]).toEqual([200, 200]);
  });

  it('keeps its connections when only its weight changes', () => {
    const { resolver, transport } = routerRig({ endpoints: 2 });
    resolver.push([{ id: 'a', address: 'memory://a', weight: 3 }, ...endpointsNamed(2).slice(1)]);
    expect(transport.forgotten).toEqual([]);
  });

  it('drops the connections to an address that changed', () => {
    const { resolver, transport, router } = routerRig({ endpoints: 1 });
    resolver.push([{ id: 'a', address: 'memory://elsewhere' }]);
    expect(transport.forgotten).toEqual(['memory://a']);
    watch(router.call({ path: '/x' }));
    expect(transport.last.endpoint.address).toBe('memory://elsewhere');
  });
});

it('a call goes to a pushed endpoint at once', () => {
  const { router, resolver, transport } = routerRig({ endpoints: 1 });
  resolver.push(endpointsNamed(2));
  watch(router.call({ path: '/x' }));
  watch(router.call({ path: '/x' }));
  expect([...transport.order].sort()).toEqual(['a', 'b']);
});
