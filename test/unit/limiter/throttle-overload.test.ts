/** A server that takes 100 calls a second and refuses the rest at once, and callers that want ten times as many. */
import { createThrottle } from 'evenkeel/limiter';
import { describe, expect, it } from 'vitest';
import { fakeRuntime } from '../../support/fake-host.js';

const STEP_MS = 10;

/** Each second's calls sent, for `seconds`; `capacity` and `load` in calls a second. */
function serve(windowMs: number | undefined, seed = 1) {
  const runtime = fakeRuntime({ seed });
  const throttle = createThrottle({ runtime, ...(windowMs === undefined ? undefined : { windowMs }) });
  let room = 0;
  return async (load: number, capacity: number, seconds: number) => {
    const sent: number[] = [];
    const accepted: number[] = [];
    for (let second = 0; second < seconds; second++) {
      let sentNow = 0;
      let acceptedNow = 0;
      for (let step = 0; step < 1000 / STEP_MS; step++) {
        room = Math.min(room + (capacity * STEP_MS) / 1000, Math.max(1, capacity / 20));
        for (let i = 0; i < (load * STEP_MS) / 1000; i++) {
          const call = throttle.begin();
          if (call === undefined) continue;
          sentNow++;
          const hasRoom = room >= 1;
          if (hasRoom) {
            room--;
            acceptedNow++;
          }
          call.end(hasRoom ? 'ok' : 'dropped');
        }
        await runtime.clock.advance(STEP_MS);
      }
      sent.push(sentNow);
      accepted.push(acceptedNow);
    }
    return { sent, accepted };
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe.each([undefined, 10_000, 120_000])('with a window of %s ms', (windowMs) => {
  it('sends about twice what is accepted at ten times the load', async () => {
    const run = serve(windowMs);
    await run(1000, 100, (windowMs ?? 2000) / 1000);
    const { sent, accepted } = await run(1000, 100, 20);
    expect(mean(sent)).toBeGreaterThan(180);
    expect(mean(sent)).toBeLessThan(220);
    expect(mean(accepted)).toBeGreaterThan(98);
  });

  it('sends all within three seconds of the recovery of the server', async () => {
    const run = serve(windowMs);
    await run(1000, 100, 30);
    const { accepted } = await run(1000, 5000, 4);
    expect(accepted[3]).toBe(1000);
  });

  it('sends all within three seconds of the end of the overload', async () => {
    const run = serve(windowMs);
    await run(1000, 100, 30);
    const { accepted } = await run(100, 5000, 4);
    expect(accepted[3]).toBe(100);
  });
});

it('keeps to twice what is accepted while the overload lasts: runs of luck do not open it', async () => {
  const run = serve(undefined, 7);
  const { sent } = await run(1000, 100, 300);
  expect(Math.max(...sent.slice(5))).toBeLessThan(260);
});
