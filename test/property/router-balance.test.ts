/** Whatever servers, callers and the list of endpoints do: every begin is ended once, and nothing is left after close. */
import { createTierSplit, createTrafficSplit, prefixAffinity, probePool, ringHash } from 'evenkeel/router';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { warmUp } from '../support/hedging-rig.js';
import type { PuppetCall } from '../support/puppet-transport.js';
import { rounds } from '../support/rounds.js';
import {
  assertBalanced,
  assertClosesClean,
  endpointsNamed,
  type RigOptions,
  type RouterRig,
  routerRig,
  watch,
} from '../support/router-rig.js';

const call = fc.record({
  do: fc.constant('call' as const),
  response: fc.constantFrom('buffer' as const, 'stream' as const),
  idempotent: fc.option(fc.boolean(), { nil: undefined }),
  weight: fc.constantFrom(1, 0.1, 1e6),
  deadlineMs: fc.option(fc.integer({ min: -10, max: 500 }), { nil: undefined }),
  model: fc.option(fc.constantFrom('m', 'n'), { nil: undefined }),
  affinity: fc.option(fc.constantFrom(['a'], ['a', 'b', 'c'], ['d']), { nil: undefined }),
});
const server = fc.record({
  do: fc.constant('server' as const),
  who: fc.nat(),
  what: fc.constantFrom('head', 'data', 'flood', 'end', 'answer', 'reset', 'refuse'),
  status: fc.constantFrom(200, 204, 404, 429, 500, 503),
  isRejected: fc.boolean(),
});
const caller = fc.record({
  do: fc.constant('caller' as const),
  who: fc.nat(),
  what: fc.constantFrom('abort', 'read', 'cancel', 'reweigh'),
});
const step = fc.oneof(
  { weight: 4, arbitrary: call },
  { weight: 5, arbitrary: server },
  { weight: 2, arbitrary: caller },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 8000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('list' as const), from: fc.nat({ max: 3 }), size: fc.nat({ max: 4 }) }) },
);

const RUNS = 60;

function play(one: PuppetCall, what: string, status: number, isRejected: boolean): void {
  const headers = isRejected ? ['evenkeel-rejected', '1'] : ['endpoint-load-metrics', 'TEXT named_metrics.host=3'];
  if (what === 'refuse') one.fail('unavailable', 'yes');
  else if (what === 'reset') one.fail('unavailable', 'unknown');
  else if (what === 'head') one.respond(status, headers);
  else if (what === 'answer') one.answer(status, 'body', headers);
  else if (what === 'end') one.end();
  else one.data(new Uint8Array(what === 'flood' ? 40_000 : 3));
}

const localities = ['eu/west/a', 'eu/west/b', 'us/east/a'];
const endpointsFrom = (from: number, size: number) =>
  endpointsNamed(7)
    .slice(from, from + size)
    .map((endpoint, i) => ({
      ...endpoint,
      locality: localities[i % 3] as string,
      attributes: { version: `${i % 2}`, tier: i % 3 === 0 ? 'elastic' : 'guaranteed' },
    }));

interface Setup {
  readonly options: () => RigOptions;
  /** So many calls before, or calls would never be sent twice. */
  readonly warmUp?: number;
  /** What the router must have done over all runs, or they say little of it. */
  readonly used: (rig: RouterRig) => number;
}

const setups: Record<string, Setup> = {
  hedges: {
    options: () => ({ hedge: { maxExtraLoad: 0.2 } }),
    warmUp: 150,
    used: ({ router }) => router.snapshot().hedges,
  },
  probes: {
    options: () => ({ picker: probePool({ timeoutMs: 50 }) }),
    used: ({ router }) => router.snapshot().probes,
  },
  'a hash ring, and endpoints that start slowly': {
    options: () => ({ picker: ringHash(), slowStart: { windowMs: 3000 } }),
    used: ({ transport }) => transport.calls.length,
  },
  'prefix affinity, and rings': {
    options: () => ({ picker: prefixAffinity(), locality: 'eu/west/a' }),
    used: ({ transport }) => transport.calls.length,
  },
  'versions, tiers, and a budget of probes for all of them': {
    options: () => ({
      picker: probePool(),
      versions: createTrafficSplit({ attribute: 'version', shares: { 0: 1, 1: 3 } }),
      tiers: createTierSplit({ periodMs: 500 }),
    }),
    used: ({ router }) => router.snapshot().probes,
  },
};

describe.each(Object.entries(setups))('with %s', (_name, setup) => {
  it('counters, queue, timers and connections come out even', async () => {
    let used = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(step, { minLength: 5, maxLength: 80 }),
        fc.boolean(),
        async (seed, steps, isDrained) => {
          const rig = routerRig({
            seed,
            endpoints: endpointsFrom(0, 3),
            maxInFlightPerEndpoint: 3,
            maxQueued: 4,
            timeoutMs: 5000,
            attemptTimeoutMs: 2000,
            firstByteTimeoutMs: 1000,
            idleTimeoutMs: 500,
            maxResponseBytes: 100_000,
            ejection: { consecutiveFailures: 2, baseMs: 1000 },
            retry: { budget: { ratio: 1, minPerSecond: 100 } },
            ...setup.options(),
          });
          if (setup.warmUp !== undefined) await warmUp(rig, setup.warmUp);
          /** Calls whose response has not begun: only these may be given one. */
          const begun = new WeakSet<PuppetCall>();
          const calls: {
            result: ReturnType<typeof watch<Awaited<ReturnType<typeof rig.router.call>>>>;
            gone: AbortController;
          }[] = [];
          for (const one of steps) {
            if (one.do === 'call') {
              const { do: _do, deadlineMs, ...request } = one;
              const gone = new AbortController();
              const context =
                deadlineMs === undefined
                  ? undefined
                  : { criticality: 'critical' as const, deadline: rig.clock.now() + deadlineMs };
              calls.push({ result: watch(rig.router.call({ path: '/x', ...request, signal: gone.signal }, context)), gone });
            } else if (one.do === 'server' && rig.transport.open.length > 0) {
              const to = rig.transport.open[one.who % rig.transport.open.length] as PuppetCall;
              const isHead = one.what === 'head' || one.what === 'answer';
              const isBody = one.what === 'data' || one.what === 'flood' || one.what === 'end';
              if ((isHead && begun.has(to)) || (isBody && !begun.has(to))) continue;
              begun.add(to);
              play(to, one.what, one.status, one.isRejected);
            } else if (one.do === 'caller' && calls.length > 0) {
              const { result, gone } = calls[one.who % calls.length] as (typeof calls)[number];
              if (one.what === 'abort') gone.abort();
              else if (one.what === 'read') watch<unknown>(result.value?.stream?.next() ?? Promise.resolve());
              else if (one.what === 'cancel') result.value?.stream?.cancel();
              else result.value?.reweigh(7);
            } else if (one.do === 'wait') await rig.clock.advance(one.ms);
            else if (one.do === 'list') rig.resolver.push(endpointsFrom(one.from, one.size));
            await rig.clock.settle();
          }
          if (isDrained) {
            const drained = watch(rig.router.drain().then(() => true));
            // Time enough for every deadline.
            await rig.clock.advance(6000);
            drained.get();
          }
          await assertClosesClean(rig);
          used += setup.used(rig);
          for (const { result } of calls) if (!result.isSettled) throw new Error('a call hangs');
          if (rig.transport.open.length > 0) throw new Error('the transport was not told');
          await assertBalanced(rig);
        },
      ),
      { numRuns: rounds(RUNS) },
    );
    if (used < rounds(RUNS) / 5) throw new Error(`used only ${used} times: the property says little of it`);
  });
});
