/** Ends that are nobody's failure, and transports and readers that break their contract. */
import { describe, expect, it } from 'vitest';
import { type CallTransport, isEvenkeelError } from '../../../src/core/index.js';
import type { PuppetCall } from '../../support/puppet-transport.js';
import { assertBalanced, assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

describe('a router that closes', () => {
  it('blames no server for the calls it ends', async () => {
    const rig = routerRig({ endpoints: 2 });
    const ejected: string[] = [];
    rig.router.events.on('eject', ({ endpoint }) => ejected.push(endpoint));
    const results = Array.from({ length: 30 }, () => watch(rig.router.call({ path: '/' })));
    await rig.clock.settle();
    await rig.router.close();
    expect(results.every(({ error }) => error?.code === 'unavailable')).toBe(true);
    expect(ejected).toEqual([]);
    await assertClosesClean(rig);
  });
});

describe('a transport whose start throws', () => {
  it('ends the call with internal, and nothing stays in flight', async () => {
    const transport: CallTransport = {
      start() {
        throw new Error('broken contract');
      },
      forget() {},
      async drain() {},
      async close() {},
    };
    const rig = routerRig({ endpoints: 2, transport });
    const result = watch(rig.router.call({ path: '/' }));
    await rig.clock.settle();
    expect(result.error?.code).toBe('internal');
    await assertBalanced(rig);
    await rig.router.drain();
  });
});

describe('a body that is cancelled while it is read', () => {
  it('ends for its reader', async () => {
    const rig = routerRig();
    const result = watch(rig.router.call({ path: '/', response: 'stream' }));
    await rig.clock.settle();
    rig.transport.last.respond(200);
    await rig.clock.settle();
    const { stream } = result.get();
    const reading = stream?.next();
    stream?.cancel();
    expect(await reading).toEqual({ done: true, value: undefined });
    expect(rig.transport.last.cancelled).toBe('cancelled');
    await assertClosesClean(rig);
  });
});

describe('a response that will be tried again', () => {
  it('is read to its end, so that its connection is free for the next call', async () => {
    const rig = routerRig({ endpoints: 2 });
    const result = watch(rig.router.call({ path: '/' }));
    await rig.clock.settle();
    const [refusal] = rig.transport.calls;
    refusal?.answer(503, 'busy');
    await rig.clock.advance(100);
    expect(refusal?.cancelled).toBeUndefined();
    rig.transport.last.answer(200, 'fine');
    await rig.clock.settle();
    expect(result.get()).toMatchObject({ status: 200, attempts: 2 });
    await assertClosesClean(rig);
  });

  it.each([
    ['is long', (call: PuppetCall) => call.data(new Uint8Array(20_000))],
    ['does not end', () => {}],
  ])('is cut off where it %s', async (_name, more) => {
    const rig = routerRig({ endpoints: 2 });
    const result = watch(rig.router.call({ path: '/' }));
    await rig.clock.settle();
    const [refusal] = rig.transport.calls;
    refusal?.respond(503);
    more(refusal as PuppetCall);
    await rig.clock.advance(100);
    expect(refusal?.cancelled).toBe('cancelled');
    rig.transport.last.answer(200, 'fine');
    await rig.clock.settle();
    expect(result.get()).toMatchObject({ status: 200, attempts: 2 });
    await assertClosesClean(rig);
  });
});

describe('a body that is read twice at once', () => {
  it('refuses the second read and serves the first', async () => {
    const rig = routerRig();
    const result = watch(rig.router.call({ path: '/', response: 'stream' }));
    await rig.clock.settle();
    rig.transport.last.respond(200);
    await rig.clock.settle();
    const { stream } = result.get();
    const first = stream?.next();
    await expect(stream?.next()).rejects.toSatisfy((error) => isEvenkeelError(error, 'failed-precondition'));
    rig.transport.last.data('x');
    rig.transport.last.end();
    expect(Buffer.from((await first)?.value ?? []).toString()).toBe('x');
    expect((await stream?.next())?.done).toBe(true);
    await assertClosesClean(rig);
  });
});

describe('a refusal before anything was sent', () => {
  it('is the prebuilt error itself: frozen, without a stack to build', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1, maxQueued: 0 });
    watch(rig.router.call({ path: '/' }));
    const refused = [watch(rig.router.call({ path: '/' })), watch(rig.router.call({ path: '/' }))];
    await rig.clock.settle();
    expect(refused[0]?.error).toMatchObject({ code: 'resource-exhausted', attempts: 0, rejected: true });
    expect(refused[0]?.error).toBe(refused[1]?.error);
    rig.transport.last.answer();
    await assertClosesClean(rig);
  });
});

describe('a call that is aborted on its way out', () => {
  it('by a listener of the pick is not sent', async () => {
    const rig = routerRig();
    const stop = new AbortController();
    rig.router.events.on('pick', () => stop.abort());
    const result = watch(rig.router.call({ path: '/', signal: stop.signal }));
    await rig.clock.settle();
    expect(result.error?.code).toBe('cancelled');
    expect(rig.transport.calls).toEqual([]);
    await assertClosesClean(rig);
  });

  it('by an extension that reads the response is over then, with its idle timeout', async () => {
    const stop = new AbortController();
    const rig = routerRig({ extensions: [{ response: () => stop.abort() }], idleTimeoutMs: 100 });
    const result = watch(rig.router.call({ path: '/', signal: stop.signal, response: 'stream' }));
    await rig.clock.settle();
    rig.transport.last.respond(200);
    await rig.clock.settle();
    expect(result.error?.code).toBe('cancelled');
    await assertClosesClean(rig);
  });

  it('by an extension is cancelled at once, not at its deadline', async () => {
    const stop = new AbortController();
    const rig = routerRig({ extensions: [{ request: () => stop.abort() }] });
    const result = watch(rig.router.call({ path: '/', signal: stop.signal }));
    await rig.clock.settle();
    expect(result.error?.code).toBe('cancelled');
    expect(rig.transport.open).toEqual([]);
    await assertClosesClean(rig);
  });
});
