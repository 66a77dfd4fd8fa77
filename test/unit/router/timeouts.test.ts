import { describe, expect, it } from 'vitest';
import { assertBalanced, assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

const GET = { path: '/x' };
/** A tick of the timer wheel: timeouts fire at most that late. */
const TICK = 8;

describe('the total timeout', () => {
  it('ends a call that never gets an answer, and tells the transport why', async () => {
    const rig = routerRig({ timeoutMs: 1000 });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(999);
    expect(call.isSettled).toBe(false);
    await rig.clock.advance(1 + TICK);
    expect(call.error).toMatchObject({ code: 'deadline-exceeded', retryable: 'unknown', endpoint: 'a', attempts: 1 });
    expect(call.error?.message).toBe('the call did not come within its deadline');
    expect(rig.transport.last.cancelled).toBe('deadline-exceeded');
    await assertClosesClean(rig);
  });

  it('counts to the last byte, buffered or streamed', async () => {
    for (const response of ['buffer', 'stream'] as const) {
      const rig = routerRig({ timeoutMs: 1000 });
      const call = watch(rig.router.call({ ...GET, response }).then((answer) => answer.bytes()));
      rig.transport.last.respond(200);
      for (let i = 0; i < 9; i++) {
        rig.transport.last.data('x');
        await rig.clock.advance(100);
      }
      expect(call.isSettled).toBe(false);
      await rig.clock.advance(100 + TICK);
      expect(call.error?.code).toBe('deadline-exceeded');
      await assertClosesClean(rig);
    }
  });

  it("is the context's deadline where that is sooner", async () => {
    const rig = routerRig({ timeoutMs: 1000 });
    const call = watch(rig.router.call(GET, { criticality: 'critical', deadline: rig.clock.now() + 50 }));
    await rig.clock.advance(50 + TICK);
    expect(call.error?.code).toBe('deadline-exceeded');
    const patient = watch(rig.router.call(GET, { criticality: 'critical', deadline: rig.clock.now() + 50_000 }));
    await rig.clock.advance(1000 + TICK);
    expect(patient.error?.code).toBe('deadline-exceeded');
  });

  it('is over before the call begins when the deadline is past: nothing is sent', async () => {
    const rig = routerRig();
    await rig.clock.advance(100);
    const call = watch(rig.router.call(GET, { criticality: 'critical', deadline: 100 }));
    await rig.clock.settle();
    expect(call.error).toMatchObject({ code: 'deadline-exceeded', attempts: 0 });
    expect(call.error?.retryable).not.toBe('unknown');
    expect(rig.transport.calls).toHaveLength(0);
    await assertClosesClean(rig);
  });

  it('ends at the last byte: an answer after it changes nothing', async () => {
    const rig = routerRig({ timeoutMs: 100 });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(110);
    rig.transport.last.answer(200, 'late');
    await rig.clock.settle();
    expect(call.error?.code).toBe('deadline-exceeded');
    await assertBalanced(rig);
  });
});

describe('the attempt timeout', () => {
  it('ends one attempt; an idempotent call goes on elsewhere', async () => {
    const rig = routerRig({ endpoints: 3, timeoutMs: 1000, attemptTimeoutMs: 100 });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(100 + TICK + 40);
    expect(rig.transport.calls).toHaveLength(2);
    expect(rig.transport.calls[0]?.cancelled).toBe('deadline-exceeded');
    rig.transport.last.answer();
    await assertBalanced(rig);
    expect(call.get().attempts).toBe(2);
  });

  it('ends a call that must not be repeated', async () => {
    const rig = routerRig({ endpoints: 3, timeoutMs: 1000, attemptTimeoutMs: 100 });
    const call = watch(rig.router.call({ ...GET, body: 'work' }));
    await rig.clock.advance(100 + TICK);
    expect(call.error).toMatchObject({ code: 'deadline-exceeded', retryable: 'unknown', attempts: 1 });
    expect(call.error?.message).toBe('the attempt did not come within 100 ms');
    await assertClosesClean(rig);
  });
});

describe('the first-byte timeout', () => {
  it('ends an attempt without a response', async () => {
    const rig = routerRig({ firstByteTimeoutMs: 100, retry: false });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(100 + TICK);
    expect(call.error?.message).toBe('the first byte did not come within 100 ms');
    await assertClosesClean(rig);
  });

  it('does not touch one whose response has begun', async () => {
    const rig = routerRig({ firstByteTimeoutMs: 100, retry: false });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(90);
    rig.transport.last.respond(200);
    await rig.clock.advance(5000);
    rig.transport.last.end();
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
  });
});

describe('the idle timeout', () => {
  it.each(['buffer', 'stream'] as const)('ends a %s response whose server falls silent', async (response) => {
    const rig = routerRig({ idleTimeoutMs: 100, retry: false });
    const call = watch(rig.router.call({ ...GET, response }).then((answer) => answer.bytes()));
    await rig.clock.advance(400);
    rig.transport.last.respond(200);
    for (let i = 0; i < 5; i++) {
      await rig.clock.advance(80);
      rig.transport.last.data('x');
    }
    expect(call.isSettled).toBe(false);
    await rig.clock.advance(100 + 2 * TICK);
    expect(call.error).toMatchObject({ code: 'deadline-exceeded', retryable: 'unknown' });
    expect(call.error?.message).toBe('the next byte did not come within 100 ms');
    await assertClosesClean(rig);
  });

  it('holds beside the other timeouts, whichever comes first', async () => {
    const rig = routerRig({ firstByteTimeoutMs: 5000, attemptTimeoutMs: 8000, idleTimeoutMs: 100, retry: false });
    const call = watch(rig.router.call(GET));
    rig.transport.last.respond(200);
    await rig.clock.advance(100 + 2 * TICK);
    expect(call.error?.message).toBe('the next byte did not come within 100 ms');
  });

  it('does not count while the reader is the slow one', async () => {
    const rig = routerRig({ idleTimeoutMs: 100, retry: false });
    const call = watch(rig.router.call({ ...GET, response: 'stream' }));
    rig.transport.last.respond(200);
    rig.transport.last.data(new Uint8Array(64 * 1024));
    expect(rig.transport.last.isPaused).toBe(true);
    await rig.clock.advance(10_000);
    const { stream } = call.get();
    await stream?.next();
    expect(rig.transport.last.isPaused).toBe(false);
    await rig.clock.advance(80);
    rig.transport.last.data('end');
    rig.transport.last.end();
    expect((await stream?.next())?.done).toBe(false);
    expect((await stream?.next())?.done).toBe(true);
    await assertClosesClean(rig);
  });

  it('counts again from the moment the reader catches up', async () => {
    const rig = routerRig({ idleTimeoutMs: 100, retry: false });
    const call = watch(rig.router.call({ ...GET, response: 'stream' }));
    rig.transport.last.respond(200);
    rig.transport.last.data(new Uint8Array(64 * 1024));
    await rig.clock.advance(10_000);
    const { stream } = call.get();
    await stream?.next();
    const next = watch(stream?.next() ?? Promise.reject());
    await rig.clock.advance(90);
    expect(next.isSettled).toBe(false);
    await rig.clock.advance(120);
    expect(next.error?.code).toBe('deadline-exceeded');
  });
});

it('a timeout of the attempt, the first byte, or silence counts against the endpoint', async () => {
  const rig = routerRig({ endpoints: 2, attemptTimeoutMs: 50, retry: false, ejection: { consecutiveFailures: 3 } });
  const ejected: string[] = [];
  rig.router.events.on('eject', ({ endpoint }) => ejected.push(endpoint));
  rig.transport.onCall = (call) => {
    if (call.to === 'b') call.answer();
  };
  for (let i = 0; i < 40; i++) watch(rig.router.call(GET));
  await rig.clock.advance(100);
  expect(ejected).toEqual(['a']);
  await assertClosesClean(rig);
});
