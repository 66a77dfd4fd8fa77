/** A guarded transport is a transport: what its limiter does is not to be told from what the wire does. */
import assert from 'node:assert/strict';
import { type CallTransport, createRuntime, type Listener } from 'evenkeel/core';
import { createLimiter, fixedLimit, type Limiter } from 'evenkeel/limiter';
import { createMemoryCall, memoryNetwork } from 'evenkeel/memory';
import { callConformance, virtualClock } from 'evenkeel/testing';
import { describe, it } from 'vitest';

const LIMIT = 100;
const AN_HOUR_MS = 3_600_000;

/** Each call finds the limiter full, and waits for a microtask. */
function waiting(limiter: Limiter, transport: CallTransport): CallTransport {
  return {
    ...transport,
    start(to, request, sink) {
      const left = LIMIT - limiter.weight;
      const rest = left > 0 ? limiter.tryAcquire({ weight: left }) : undefined;
      const handle = transport.start(to, request, sink);
      queueMicrotask(() => rest?.end('ignored'));
      return handle;
    },
  };
}

const suiteOf = (doWait: boolean) =>
  callConformance({
    traits: { trailers: true, http: true, maxBufferedBytes: 96 * 1024, maxBodyBytes: 4 * 1024 * 1024 },
    async open() {
      const clock = virtualClock();
      const network = memoryNetwork();
      const queue = { calmWaitMs: AN_HOUR_MS, overloadWaitMs: AN_HOUR_MS };
      const limiter = createLimiter({ limit: fixedLimit(LIMIT), queue, runtime: createRuntime({ clock }), leakWarning: false });
      const guarded = limiter.guard(createMemoryCall({ clock, network }));
      const transport = doWait ? waiting(limiter, guarded) : guarded;
      const server = limiter.guard(createMemoryCall({ clock, network }));
      const listeners: Listener[] = [];
      return {
        transport,
        clock,
        async serve(handler) {
          const listener = await server.serve?.({ address: 'memory://server:0' }, handler);
          assert(listener !== undefined);
          listeners.push(listener);
          return { endpoint: { id: listener.address, address: listener.address }, listener };
        },
        unknown: { id: 'nobody', address: 'memory://nobody' },
        advance: (ms) => clock.advance(ms),
        async close() {
          await Promise.all([...listeners.map((listener) => listener.close()), transport.close(), server.close()]);
          assert.equal(network.size, 0);
          // Every permit came back.
          assert.deepEqual([limiter.inFlight, limiter.weight, limiter.queued], [0, 0, 0]);
        },
      };
    },
  });

describe.each([false, true])('a guarded memory call (waits for its permit: %s)', (doWait) => {
  for (const { name, run } of suiteOf(doWait)) it(name, run);
});
