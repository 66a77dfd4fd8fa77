import * as grpc from '@grpc/grpc-js';
import { type Listener, liveClock } from 'evenkeel/core';
import { createGrpcTransport } from 'evenkeel/grpc';
import { callConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';

const suite = callConformance({
  // Two kernel socket buffers of some megabytes each, and Node's own on both sides.
  traits: { trailers: true, http: true, maxBufferedBytes: 16 * 1024 * 1024, maxBodyBytes: 4 * 1024 * 1024 },
  async open() {
    const clock = liveClock();
    const transport = createGrpcTransport({ grpc });
    const listeners: Listener[] = [];
    return {
      transport,
      clock,
      async serve(handler) {
        const listener = await transport.serve({ address: 'grpc://127.0.0.1:0' }, handler);
        listeners.push(listener);
        return { endpoint: { id: listener.address, address: listener.address }, listener };
      },
      // Port 1 (tcpmux) is reserved and refuses.
      unknown: { id: 'nobody', address: 'grpc://127.0.0.1:1' },
      advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      async close() {
        await transport.close();
        await Promise.all(listeners.map((listener) => listener.close()));
      },
    };
  },
});

describe('grpc call', () => {
  for (const { name, run } of suite) it(name, run);
});
