import { describe, expect, it } from 'vitest';
import type { PuppetCall } from '../../support/puppet-transport.js';
import { assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

/** Answers the call sent last, as told. */
type Answer = (call: PuppetCall) => void;

async function send(rig: ReturnType<typeof routerRig>, answer: Answer | undefined, timeoutMs = 1000): Promise<string> {
  const context = { criticality: 'critical' as const, deadline: rig.clock.now() + timeoutMs };
  const result = watch(rig.router.call({ path: '/', method: 'POST' }, context));
  await rig.clock.settle();
  const call = rig.transport.open.at(-1);
  if (answer !== undefined && call !== undefined) answer(call);
  else await rig.clock.advance(timeoutMs + 10);
  await rig.clock.settle();
  return result.error?.code ?? String(result.value?.status);
}

/** Answers after `ms`. */
async function answerAfter(rig: ReturnType<typeof routerRig>, ms: number): Promise<void> {
  const result = watch(rig.router.call({ path: '/', method: 'POST' }));
  await rig.clock.settle();
  await rig.clock.advance(ms);
  rig.transport.open.at(-1)?.answer(200);
  await rig.clock.settle();
  expect(result.get().status).toBe(200);
}

describe('whose failure it is', () => {
  it("is the caller's when its deadline leaves less than twice the usual time", async () => {
    const rig = routerRig({ endpoints: 2 });
    for (let i = 0; i < 6; i++) await answerAfter(rig, 100);
    for (let i = 0; i < 20; i++) expect(await send(rig, undefined, 50)).toBe('deadline-exceeded');
    expect(rig.router.snapshot().ejections).toBe(0);
    expect(rig.router.endpoints().every(({ failureShare }) => failureShare === 0)).toBe(true);
    await assertClosesClean(rig);
  });

  it("is the server's when it had the time", async () => {
    const rig = routerRig({ endpoints: 1 });
    for (let i = 0; i < 6; i++) await answerAfter(rig, 100);
    for (let i = 0; i < 5; i++) await send(rig, undefined, 500);
    expect(rig.router.snapshot().ejections).toBe(1);
    await assertClosesClean(rig);
  });

  it("is nobody's when a server sheds load and says so", async () => {
    const rig = routerRig({ endpoints: 1, retry: false });
    for (let i = 0; i < 20; i++) {
      expect(await send(rig, (call) => call.answer(503, '', ['evenkeel-rejected', '1']))).toBe('503');
    }
    expect(rig.router.snapshot().ejections).toBe(0);
    for (let i = 0; i < 5; i++) await send(rig, (call) => call.answer(503));
    expect(rig.router.snapshot().ejections).toBe(1);
    await assertClosesClean(rig);
  });
});
