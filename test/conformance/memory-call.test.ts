import assert from 'node:assert/strict';
import type { Listener } from 'evenkeel/core';
import { createMemoryCall, memoryNetwork } from 'evenkeel/memory';
import { callConformance, virtualClock } from 'evenkeel/testing';
import { describe, it } from 'vitest';

const suite = callConformance({
  // A pipe of 64 KiB each way, a piece of 16 KiB that overshoots it, and the piece that was pulled and waits.
  traits: { trailers: true, http: true, maxBufferedBytes: 96 * 1024, maxBodyBytes: 4 * 1024 * 1024 },
  async open() {
    const clock = virtualClock();
    const network = memoryNetwork();
    const transport = createMemoryCall({ clock, network });
    const server = createMemoryCall({ clock, network });
    const listeners: Listener[] = [];
    return {
      transport,
      clock,
      async serve(handler) {
        const listener = await server.serve({ address: 'memory://server:0' }, handler);
        listeners.push(listener);
        return { endpoint: { id: listener.address, address: listener.address }, listener };
      },
      unknown: { id: 'nobody', address: 'memory://nobody' },
      advance: (ms) => clock.advance(ms),
      async close() {
        await Promise.all([...listeners.map((listener) => listener.close()), transport.close(), server.close()]);
        assert.equal(network.size, 0);
      },
    };
  },
});

describe('memory call', () => {
  for (const { name, run } of suite) it(name, run);
});
