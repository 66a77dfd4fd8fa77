import { describe, expect, it } from 'vitest';
import { staticResolver } from '../../../src/core/index.js';
import {
  createRouter,
  DEFAULT_MAX_IN_FLIGHT,
  DEFAULT_MAX_QUEUED,
  DEFAULT_MAX_RESPONSE_BYTES,
  DEFAULT_TIMEOUT_MS,
  type RouterOptions,
} from '../../../src/router/index.js';
import { resolveOptions } from '../../../src/router/options.js';
import { PuppetTransport } from '../../support/puppet-transport.js';
import { assertBalanced, routerRig, watch } from '../../support/router-rig.js';

const base = { service: 's', transport: new PuppetTransport(), resolver: staticResolver(['memory://a']) };

describe('options of a router', () => {
  it('have the defaults that are documented; undefined is not a value', () => {
    const defaults = {
      service: 's',
      timeoutMs: DEFAULT_TIMEOUT_MS,
      attemptTimeoutMs: Number.POSITIVE_INFINITY,
      firstByteTimeoutMs: Number.POSITIVE_INFINITY,
      idleTimeoutMs: Number.POSITIVE_INFINITY,
      maxInFlightPerEndpoint: DEFAULT_MAX_IN_FLIGHT,
      maxQueued: DEFAULT_MAX_QUEUED,
      maxResponseBytes: DEFAULT_MAX_RESPONSE_BYTES,
      panicThreshold: 0.5,
    };
    expect(resolveOptions(base)).toMatchObject(defaults);
    expect(resolveOptions({ ...base, timeoutMs: undefined, maxQueued: undefined, picker: undefined })).toMatchObject(defaults);
  });

  it.each([
    ['service', { service: '' }],
    ['service', { service: 'x'.repeat(201) }],
    ['service', { service: 5 }],
    ['transport', { transport: undefined }],
    ['resolver', { resolver: {} }],
    ['shardOf', { shardOf: 'users' }],
    ['affinityOf', { affinityOf: 7 }],
    ['weightOf', { weightOf: {} }],
    ['ringThreshold', { ringThreshold: -5 }],
    ['versions', { versions: {} }],
    ['switches.probes', { switches: { probes: true } }],
    ['subset.maxEndpoints', { subset: { maxEndpoints: 3 } }],
    ['slowStart.warmUpPath', { slowStart: { warmUpPath: 7 } }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['timeoutMs', { timeoutMs: Number.POSITIVE_INFINITY }],
    ['attemptTimeoutMs', { attemptTimeoutMs: Number.NaN }],
    ['attemptTimeoutMs', { timeoutMs: 100, attemptTimeoutMs: 101 }],
    ['firstByteTimeoutMs', { timeoutMs: 100, firstByteTimeoutMs: 101 }],
    ['firstByteTimeoutMs', { attemptTimeoutMs: 100, firstByteTimeoutMs: 101 }],
    ['idleTimeoutMs', { idleTimeoutMs: -1 }],
    ['maxInFlightPerEndpoint', { maxInFlightPerEndpoint: 0 }],
    ['maxQueued', { maxQueued: 1.5 }],
    ['maxResponseBytes', { maxResponseBytes: -1 }],
    ['panicThreshold', { panicThreshold: 2 }],
  ])('%s out of range is refused by name: %o', (name, wrong) => {
    const options = { ...base, ...wrong } as unknown as RouterOptions;
    expect(() => createRouter(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => createRouter(options)).toThrow(name);
  });
});

describe('a buffered response above maxResponseBytes', () => {
  it('ends the call, tells the server, and is not held against the endpoint', async () => {
    const rig = routerRig({ maxResponseBytes: 10 });
    const call = watch(rig.router.call({ path: '/x' }));
    rig.transport.last.respond(200);
    rig.transport.last.data('123456');
    rig.transport.last.data('789012');
    await assertBalanced(rig);
    expect(call.error).toMatchObject({ code: 'out-of-range', attempts: 1 });
    expect(rig.transport.last.cancelled).toBe('cancelled');
    expect(rig.transport.calls).toHaveLength(1);
    expect(rig.router.endpoints()[0]?.failureShare).toBe(0);
  });

  it('does not bound a streamed one', async () => {
    const rig = routerRig({ maxResponseBytes: 10 });
    const call = watch(rig.router.call({ path: '/x', response: 'stream' }).then((response) => response.bytes()));
    rig.transport.last.answer(200, 'x'.repeat(100));
    await rig.clock.settle();
    expect(call.get()).toHaveLength(100);
  });
});
