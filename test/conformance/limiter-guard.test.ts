/** A guarded transport is a transport: what its limiter does is not to be told from what the wire does. */
import assert from 'node:assert/strict';
import { createRuntime, type Listener } from 'evenkeel/core';
import { createLimiter, fixedLimit } from 'evenkeel/limiter';
import { createMemoryCall, memoryNetwork } from 'evenkeel/memory';
import { callConformance, virtualClock } from 'evenkeel/testing';
import { describe, it } from 'vitest';

const suite = callConformance({
  traits: { trailers: true, http: true, maxBufferedBytes: 96 * 1024, maxBodyBytes: 4 * 1024 * 1024 },
  async open() {
    const clock = virtualClock();
    const network = memoryNetwork();
    const limiter = createLimiter({ limit: fixedLimit(100), runtime: createRuntime({ clock }), leakWarning: false });
    const transport = limiter.guard(createMemoryCall({ clock, network }));
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

describe('a guarded memory call', () => {
  for (const { name, run } of suite) it(name, run);
});
