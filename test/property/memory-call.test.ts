import assert from 'node:assert/strict';
import type { EvenkeelError } from 'evenkeel/core';
import { createMemoryCall } from 'evenkeel/memory';
import { virtualClock } from 'evenkeel/testing';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const chunk = fc.oneof(
  fc.uint8Array({ maxLength: 50 }),
  fc.integer({ min: 0, max: 100_000 }).map((length) => new Uint8Array(length).map((_, i) => (i * 7 + length) & 255)),
);
const call = fc.record({
  request: fc.array(chunk, { maxLength: 6 }),
  isStream: fc.boolean(),
  /** Milliseconds between the chunks of either side. */
  paceMs: fc.integer({ min: 0, max: 3 }),
  /** Pauses after the n-th piece, for so long. */
  pauses: fc.array(fc.record({ after: fc.integer({ min: 1, max: 10 }), ms: fc.integer({ min: 1, max: 20 }) }), { maxLength: 3 }),
  cancelAfterMs: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
});

describe('memory call', () => {
  it('gives back the bytes it was sent, whatever the chunks, pauses and cancellations, and balances begin and end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 5 }), async (calls) => {
        const clock = virtualClock();
        const transport = createMemoryCall({ clock });
        let handlers = 0;
        const listener = await transport.serve({ address: 'memory://echo' }, (incoming) => {
          handlers++;
          return {
            status: 200,
            body: (async function* () {
              try {
                for await (const piece of incoming.body) yield piece;
              } finally {
                handlers--;
              }
            })(),
          };
        });
        let streams = 0;
        const outcomes = calls.map(({ request, isStream, paceMs, pauses, cancelAfterMs }) => {
          const whole = Buffer.concat(request);
          const stream = async function* () {
            streams++;
            try {
              for (const piece of request) {
                if (paceMs > 0) await clock.sleep(paceMs);
                yield piece;
              }
            } finally {
              streams--;
            }
          };
          const got: Uint8Array[] = [];
          const outcome = { whole, got, ends: 0, error: undefined as EvenkeelError | undefined, wasCancelled: false };
          const handle = transport.start(
            { id: 'echo', address: 'memory://echo' },
            { path: '/', method: 'POST', body: isStream ? stream() : whole },
            {
              onResponse: (status) => assert.equal(status, 200),
              onData(piece) {
                assert.equal(outcome.ends, 0);
                got.push(piece);
                for (const { after, ms } of pauses) {
                  if (after !== got.length) continue;
                  handle.pause();
                  clock.timer(ms, () => handle.resume());
                }
              },
              onEnd: () => outcome.ends++,
              onError(error) {
                outcome.ends++;
                outcome.error = error;
              },
            },
          );
          if (cancelAfterMs !== undefined) {
            clock.timer(cancelAfterMs, () => {
              outcome.wasCancelled = outcome.ends === 0;
              handle.cancel('cancelled');
            });
          }
          return outcome;
        });
        await clock.run();
        for (const { whole, got, ends, error, wasCancelled } of outcomes) {
          assert.equal(ends, 1, 'one end');
          assert.equal(error?.code, wasCancelled ? 'cancelled' : undefined);
          const bytes = Buffer.concat(got);
          if (wasCancelled)
            assert.equal(Buffer.compare(bytes, whole.subarray(0, bytes.byteLength)), 0, 'a beginning of the bytes');
          else assert.equal(Buffer.compare(bytes, whole), 0, 'all the bytes');
        }
        assert.equal(handlers, 0, 'answers that were never returned');
        assert.equal(streams, 0, 'requests that were never returned');
        await Promise.all([transport.drain(), listener.drain()]);
        await Promise.all([transport.close(), listener.close()]);
      }),
      { numRuns: rounds(100) },
    );
  });
});
