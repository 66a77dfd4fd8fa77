import assert from 'node:assert/strict';
import type { Listener } from 'evenkeel/core';
import { liveClock } from 'evenkeel/core';
import { createHttpTransport, type Undici } from 'evenkeel/http';
import { callConformance } from 'evenkeel/testing';
import * as undici7 from 'undici';
import { describe, it } from 'vitest';

/** undici 8 needs Node 22.19. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const canRunUndici8 = major > 22 || (major === 22 && minor >= 19);

const suiteOn = (undici: Undici) =>
  callConformance({
    // Two kernel socket buffers of some megabytes each, and Node's own on both sides.
    traits: { trailers: true, http: true, maxBufferedBytes: 16 * 1024 * 1024, maxBodyBytes: 4 * 1024 * 1024 },
    async open() {
      const clock = liveClock();
      const transport = createHttpTransport({ undici });
      const listeners: Listener[] = [];
      return {
        transport,
        clock,
        async serve(handler) {
          const listener = await transport.serve?.({ address: 'http://127.0.0.1:0' }, handler);
          assert(listener !== undefined);
          listeners.push(listener);
          return { endpoint: { id: listener.address, address: listener.address }, listener };
        },
        // Port 1 (tcpmux) is reserved and refuses.
        unknown: { id: 'nobody', address: 'http://127.0.0.1:1' },
        advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
        async close() {
          await transport.close();
          await Promise.all(listeners.map((listener) => listener.close()));
        },
      };
    },
  });

describe('http call on undici 7', () => {
  for (const { name, run } of suiteOn(undici7)) it(name, run);
});

describe.skipIf(!canRunUndici8)('http call on undici 8', async () => {
  if (!canRunUndici8) return;
  const undici8 = await import('undici8');
  for (const { name, run } of suiteOn(undici8 as unknown as Undici)) it(name, run);
});
