/** A router on virtual time, in front of servers played by hand, with a list of endpoints that the test pushes. */
import assert from 'node:assert/strict';
import {
  type EndpointLike,
  type EvenkeelError,
  parseEndpoints,
  type Resolution,
  type Resolver,
  type ResolverListener,
  type VirtualClock,
} from 'evenkeel/core';
import { createRouter, type Router, type RouterOptions } from 'evenkeel/router';
import { type FakeRuntime, fakeRuntime } from './fake-host.js';
import { PuppetTransport } from './puppet-transport.js';

export class ManualResolver implements Resolver {
  readonly name = 'manual';
  refreshes = 0;
  isClosed = false;
  #listener: ResolverListener | undefined;

  start(_runtime: unknown, listener: ResolverListener): Resolution {
    this.#listener = listener;
    return {
      ageMs: 0,
      refresh: () => {
        this.refreshes++;
      },
      close: () => {
        this.isClosed = true;
      },
    };
  }

  push(endpoints: readonly EndpointLike[]): void {
    this.#listener?.onEndpoints(parseEndpoints(endpoints), { source: 'live' });
  }

  fail(error: EvenkeelError): void {
    this.#listener?.onError(error);
  }
}

export interface RouterRig {
  readonly runtime: FakeRuntime;
  readonly clock: VirtualClock;
  readonly transport: PuppetTransport;
  readonly resolver: ManualResolver;
  readonly router: Router;
}

export type RigOptions = Partial<RouterOptions> & {
  seed?: number;
  /** Names, or that many of them: a, b, c, ... Undefined: none is told yet. Default 1. */
  endpoints?: readonly EndpointLike[] | number | 'none yet';
  runtime?: FakeRuntime;
};

export function routerRig({ seed, endpoints = 1, ...options }: RigOptions = {}): RouterRig {
  const runtime = options.runtime ?? fakeRuntime(seed === undefined ? {} : { seed });
  const transport = new PuppetTransport();
  const resolver = new ManualResolver();
  const router = createRouter({ service: 's', transport, resolver, ...options, runtime });
  if (endpoints !== 'none yet') resolver.push(typeof endpoints === 'number' ? endpointsNamed(endpoints) : endpoints);
  return { runtime, clock: runtime.clock, transport, resolver, router };
}

/** a, b, c, ... at memory://a, memory://b, ... */
export function endpointsNamed(count: number): { id: string; address: string }[] {
  return Array.from({ length: count }, (_, i) => {
    const id = String.fromCharCode(97 + (i % 26)) + (i < 26 ? '' : String(Math.floor(i / 26)));
    return { id, address: `memory://${id}` };
  });
}

/** How a promise stands; a rejection is kept, not lost. */
export class Watched<T> {
  value: T | undefined;
  error: EvenkeelError | undefined;
  isSettled = false;

  constructor(promise: Promise<T>) {
    promise.then(
      (value) => {
        this.value = value;
        this.isSettled = true;
      },
      (error: EvenkeelError) => {
        this.error = error;
        this.isSettled = true;
      },
    );
  }

  /** The value; fails with the error. */
  get(): T {
    if (this.error !== undefined) throw this.error;
    assert(this.value !== undefined, 'not settled yet');
    return this.value;
  }
}

export function watch<T>(promise: Promise<T>): Watched<T> {
  return new Watched(promise);
}

/** Every begin was ended once, nothing waits, and what is left of time is one tick of the wheel. */
export async function assertBalanced({ router, runtime, clock }: Pick<RouterRig, 'router' | 'runtime' | 'clock'>): Promise<void> {
  await clock.settle();
  const { inFlight, queued, endpoints } = router.snapshot();
  assert.deepEqual({ inFlight, queued }, { inFlight: 0, queued: 0 });
  for (const { endpoint, inFlight: calls, weight } of endpoints) assert.deepEqual([calls, weight], [0, 0], endpoint.id);
  for (const key of runtime.load.keys()) {
    const { inFlight: calls, weight } = runtime.load.counter(key).read();
    assert.deepEqual([calls, weight], [0, 0], key);
  }
}

/** Closes the router and finds nothing of it left: no call, no timer. */
export async function assertClosesClean(rig: RouterRig): Promise<void> {
  await rig.router.close();
  await assertBalanced(rig);
  await rig.clock.advance(8);
  assert.equal(rig.clock.pending, 0, 'timers are left after close');
}
