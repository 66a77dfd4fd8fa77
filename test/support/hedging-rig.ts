/** A router that hedges and knows how long calls take: about 10 ms. */
import type { PuppetCall } from './puppet-transport.js';
import { type RigOptions, type RouterRig, routerRig, watch } from './router-rig.js';

export const USUAL_MS = 10;
/** Long enough for a hedge to be due: the delay, its bucket, a tick of the wheel. */
export const HEDGE_MS = 24;

export async function hedgingRig(options: RigOptions = {}, calls = 120): Promise<RouterRig> {
  const rig = routerRig({ endpoints: 3, hedge: { maxExtraLoad: 0.05 }, ...options });
  await warmUp(rig, calls);
  return rig;
}

/** So many calls that take the usual time, and then more than a second. */
export async function warmUp({ router, clock, transport }: RouterRig, calls: number): Promise<void> {
  for (let i = 0; i < calls; i += 3) {
    for (let j = 0; j < 3; j++) watch(router.call({ path: '/warm' }));
    await clock.advance(USUAL_MS);
    for (const open of transport.open) open.answer(200);
    await clock.advance(5);
  }
  await clock.advance(1000);
  transport.calls.length = 0;
}

/** The two attempts of a call that has just been hedged. */
export function bothOf({ transport }: RouterRig): [first: PuppetCall, hedge: PuppetCall] {
  const [first, hedge] = transport.calls.slice(-2);
  if (first === undefined || hedge === undefined || transport.calls.length < 2) throw new Error('no hedge was sent');
  return [first, hedge];
}
