import { describe, expect, it } from 'vitest';
import { type CallExtension, type Endpoint, headerEntries, runWithContext } from '../../../src/core/index.js';
import type { RouterRequest } from '../../../src/router/index.js';
import type { PuppetCall } from '../../support/puppet-transport.js';
import { assertBalanced, routerRig, watch } from '../../support/router-rig.js';

const sent = (call: PuppetCall) => headerEntries(call.request.headers ?? []);

describe('the context of a call', () => {
  it('goes out as remaining time and criticality', () => {
    const { router, transport } = routerRig();
    watch(router.call({ path: '/x' }, { criticality: 'sheddable', deadline: 2500 }));
    expect(sent(transport.last)).toEqual([
      ['evenkeel-timeout-ms', '2500'],
      ['baggage', 'evenkeel.criticality=sheddable'],
    ]);
  });

  it("tells the router's own timeout where that is sooner, and it alone for a context without a deadline", () => {
    const { router, transport } = routerRig({ timeoutMs: 700 });
    watch(router.call({ path: '/x' }, { criticality: 'critical', deadline: 2500 }));
    watch(router.call({ path: '/x' }, { criticality: 'critical' }));
    for (const call of transport.calls) expect(sent(call)).toEqual([['evenkeel-timeout-ms', '700']]);
  });

  it('tells the second attempt of less time', async () => {
    const rig = routerRig({ endpoints: 2, attemptTimeoutMs: 400, retry: { baseMs: 0 } });
    watch(rig.router.call({ path: '/x' }, { criticality: 'critical', deadline: 1000 }));
    await rig.clock.advance(450);
    const [first, second] = rig.transport.calls.map((call) => Number(sent(call)[0]?.[1]));
    expect(first).toBe(1000);
    expect(second).toBe(600);
  });

  it('is the ambient one when none is passed; one that is passed wins', () => {
    const { router, transport, runtime } = routerRig();
    runWithContext(runtime, { criticality: 'sheddable-plus', deadline: 900 }, () => {
      watch(router.call({ path: '/x' }));
      watch(router.call({ path: '/x' }, { criticality: 'critical', deadline: 300 }));
    });
    watch(router.call({ path: '/x' }));
    expect(transport.calls.map(sent)).toEqual([
      [
        ['evenkeel-timeout-ms', '900'],
        ['baggage', 'evenkeel.criticality=sheddable-plus'],
      ],
      [['evenkeel-timeout-ms', '300']],
      [],
    ]);
  });

  it("cancels the call by its signal, beside the request's own", async () => {
    for (const which of [0, 1]) {
      const rig = routerRig();
      const [mine, theirs] = [new AbortController(), new AbortController()];
      const call = watch(
        rig.router.call({ path: '/x', signal: mine.signal }, { criticality: 'critical', signal: theirs.signal }),
      );
      [mine, theirs][which]?.abort(`by ${which}`);
      await rig.clock.settle();
      expect(call.error).toMatchObject({ code: 'cancelled', cause: `by ${which}` });
      expect(rig.transport.last.cancelled).toBe('cancelled');
      await assertBalanced(rig);
    }
  });

  it('with a deadline that is no number is refused', async () => {
    const { router } = routerRig();
    const call = router.call({ path: '/x' }, { criticality: 'critical', deadline: Number.NaN });
    await expect(call).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

describe("the caller's headers", () => {
  it('go out as they are, in either form', () => {
    const { router, transport } = routerRig();
    watch(router.call({ path: '/x', headers: ['X-A', '1', 'x-a', '2'] }));
    watch(router.call({ path: '/x', headers: { 'x-b': '3' } }));
    expect(transport.calls.map(sent)).toEqual([
      [
        ['x-a', '1'],
        ['x-a', '2'],
      ],
      [['x-b', '3']],
    ]);
  });

  it('are not changed by what is added', () => {
    const { router, transport } = routerRig();
    const headers = ['x-a', '1'];
    watch(router.call({ path: '/x', headers }, { criticality: 'sheddable' }));
    expect(headers).toEqual(['x-a', '1']);
    expect(sent(transport.last)[0]).toEqual(['x-a', '1']);
  });

  it.each([
    ['null', null],
    ['values that cannot be written', { 'x-a': Symbol('a') }],
    ['something else than text in a list', [1, null]],
  ])('%s end the call with a code, and nothing stays counted', async (_what, headers) => {
    const rig = routerRig({ extensions: [{}] });
    const call = watch(rig.router.call({ path: '/x', headers: headers as unknown as string[] }, { criticality: 'sheddable' }));
    await rig.clock.settle();
    for (const open of rig.transport.open) open.fail('invalid-argument', 'no');
    await rig.clock.settle();
    expect(call.error?.code).toBe('invalid-argument');
    await assertBalanced(rig);
  });
});

describe('a malformed request', () => {
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['no path', {}],
    ['a path that is no text', { path: 5 }],
    ['a path without a slash', { path: 'x' }],
    ['a whole URL', { path: 'http://a/x' }],
  ])('(%s) is refused with a code before anything is sent', async (_what, request) => {
    const rig = routerRig();
    await expect(rig.router.call(request as unknown as RouterRequest)).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(rig.transport.calls).toEqual([]);
    await assertBalanced(rig);
  });
});

describe('extensions', () => {
  it('add headers to every attempt and read those of every response', async () => {
    const seen: [string, string][] = [];
    const extension: CallExtension = {
      request: (headers, context) => void headers.push('x-knob', context?.criticality ?? 'none'),
      response: (headers, endpoint: Endpoint) => {
        seen.push([endpoint.id, headerEntries(headers)[0]?.[1] ?? '']);
      },
    };
    const rig = routerRig({ endpoints: 2, extensions: [extension] });
    const call = watch(rig.router.call({ path: '/x', headers: { 'x-a': '1' } }));
    rig.transport.last.answer(503, '', ['x-r', 'one']);
    await rig.clock.advance(40);
    rig.transport.last.answer(200, '', ['x-r', 'two']);
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
    for (const one of rig.transport.calls) {
      expect(sent(one)).toEqual([
        ['x-a', '1'],
        ['x-knob', 'none'],
      ]);
    }
    expect(seen.map(([, value]) => value)).toEqual(['one', 'two']);
    expect(new Set(seen.map(([id]) => id)).size).toBe(2);
  });

  it('that throw are reported and change nothing', async () => {
    const fail = () => {
      throw new Error('broken extension');
    };
    const rig = routerRig({
      extensions: [{ request: fail, response: fail }, { request: (headers) => void headers.push('x-b', '2') }],
    });
    const call = watch(rig.router.call({ path: '/x' }));
    rig.transport.last.answer();
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
    expect(sent(rig.transport.last)).toEqual([['x-b', '2']]);
    expect(rig.runtime.diagnostics.total).toBe(2);
  });

  it('read trailers, too', async () => {
    const seen: string[] = [];
    const rig = routerRig({ extensions: [{ response: (headers) => void seen.push(headerEntries(headers).join()) }] });
    watch(rig.router.call({ path: '/x' }));
    rig.transport.last.respond(200, ['x-h', '1']);
    rig.transport.last.end(['x-t', '2']);
    expect(seen).toEqual(['x-h,1', 'x-t,2']);
  });
});
