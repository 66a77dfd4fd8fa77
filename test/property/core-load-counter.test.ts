import { createRuntime, seededRandom, virtualClock } from 'evenkeel/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rounds } from '../support/rounds.js';

type Step =
  | { kind: 'begin' | 'reweigh'; weight: number; at: number }
  | { kind: 'end'; at: number }
  | { kind: 'wait'; ms: number };

const at = fc.nat({ max: 20 });
const weight = fc.integer({ min: 0, max: 1000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('begin' as const), weight, at }),
  fc.record({ kind: fc.constant('reweigh' as const), weight, at }),
  fc.record({ kind: fc.constant('end' as const), at }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 3000 }) }),
);

describe('a load counter', () => {
  it('holds the sum of what has begun and not ended, under any interleaving', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const clock = virtualClock();
        const counter = createRuntime({ clock, random: seededRandom(1) }).load.counter('host');
        // Ended work stays in the list: ending or reweighing it again must change nothing.
        const works: { work: ReturnType<typeof counter.begin>; weight: number; isOpen: boolean }[] = [];
        for (const next of steps) {
          if (next.kind === 'wait') {
            clock.timer(next.ms, () => {});
            clock.runSync();
          } else if (next.kind === 'begin') {
            works.push({ work: counter.begin(next.weight), weight: next.weight, isOpen: true });
          } else {
            const item = works[next.at % Math.max(1, works.length)];
            if (item === undefined) continue;
            if (next.kind === 'end') {
              item.work.end(next.at % 2 === 0 ? 'ok' : 'dropped');
              item.isOpen = false;
            } else {
              item.work.reweigh(next.weight);
              if (item.isOpen) item.weight = next.weight;
            }
          }
          const open = works.filter(({ isOpen }) => isOpen);
          const sample = counter.read();
          expect(sample.inFlight).toBe(open.length);
          expect(sample.weight).toBe(open.reduce((sum, item) => sum + item.weight, 0));
          expect(sample.ratePerSecond).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: rounds(300) },
    );
  });
});
