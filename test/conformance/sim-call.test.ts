import type { Listener } from 'evenkeel/core';
import { createSimulation } from 'evenkeel/sim';
import { callConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';

const suite = callConformance({
  // The pipes of the server's side, and what is on the way while a pause travels there.
  traits: { trailers: true, http: true, maxBufferedBytes: 256 * 1024, maxBodyBytes: 4 * 1024 * 1024 },
  async open() {
    const simulation = createSimulation({ seed: 1, link: { latencyMs: (random) => 0.1 + 2 * random.next() } });
    const { clock } = simulation;
    const transport = simulation.calls(simulation.machine('client').process);
    const server = simulation.calls(simulation.machine('server').process);
    const listeners: Listener[] = [];
    return {
      transport,
      clock,
      async serve(handler) {
        const listener = await server.serve({ address: 'sim://server:0' }, handler);
        listeners.push(listener);
        return { endpoint: { id: listener.address, address: listener.address }, listener };
      },
      unknown: { id: 'nobody', address: 'sim://server:9' },
      advance: (ms) => clock.advance(ms),
      async close() {
        await Promise.all([...listeners.map((listener) => listener.close()), transport.close(), server.close()]);
      },
    };
  },
});

describe('simulated call', () => {
  for (const { name, run } of suite) it(name, run);
});
