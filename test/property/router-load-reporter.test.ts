import { createRuntime, virtualClock } from 'evenkeel/core';
import { createLoadReporter, type ServedCall } from 'evenkeel/router';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const request = fc.record({
  /** How the handler does. */
  how: fc.constantFrom('whole', 'streamed', 'empty', 'throws', 'breaks', 'endless'),
  status: fc.constantFrom(200, 404, 429, 500, 503),
  /** What its caller does with the body. */
  reads: fc.constantFrom('all', 'one piece', 'nothing, and leaves'),
  model: fc.option(fc.constantFrom('m', 'n'), { nil: undefined }),
  late: fc.option(fc.constantFrom('m', 'o'), { nil: undefined }),
  weight: fc.option(fc.double({ min: 0.1, max: 1e6, noNaN: true }), { nil: undefined }),
});

function bodyOf(how: string): string | ReadableStream | null {
  if (how === 'empty') return null;
  if (how === 'whole') return 'whole';
  let pieces = 0;
  return new ReadableStream({
    pull(controller) {
      if (how === 'breaks' && pieces === 2) controller.error(new Error('broken'));
      else if (how === 'streamed' && pieces === 3) controller.close();
      else controller.enqueue(new Uint8Array([pieces++]));
    },
  });
}

it('a server counts nothing twice and forgets nothing, however requests and their callers end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 20 }), async (requests) => {
      const runtime = createRuntime({ clock: virtualClock() });
      const reporter = createLoadReporter({ runtime });
      const answer = async ({ how, status, reads, model, late, weight }: (typeof requests)[number]) => {
        let served: ServedCall | undefined;
        const serve = reporter.fetch((_request, call) => {
          served = call;
          if (model !== undefined) call.model(model);
          if (weight !== undefined) call.reweigh(weight);
          if (how === 'throws') throw new Error('broken');
          return new Response(bodyOf(how), { status });
        });
        const response = await serve(new Request('http://a/x'));
        const reader = response.body?.getReader();
        if (reads === 'all' && how !== 'endless') while (reader !== undefined && !(await reader.read()).done);
        else {
          if (reads !== 'nothing, and leaves') await reader?.read();
          await reader?.cancel();
        }
        // The handler finds out when it is all over.
        if (late !== undefined) served?.model(late);
        served?.reweigh(3);
      };
      await Promise.allSettled(requests.map(answer));
      for (const key of runtime.load.keys()) {
        const { inFlight, weight } = runtime.load.counter(key).read();
        expect([key, inFlight, weight]).toEqual([key, 0, 0]);
      }
    }),
    { numRuns: rounds(100) },
  );
});
