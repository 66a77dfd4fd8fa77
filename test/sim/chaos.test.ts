import { type ChaosResult, runChaos } from 'evenkeel/sim';
import { describe, expect, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const SEEDS = Array.from({ length: rounds(2, 20) }, (_, i) => 1000 + i);
const HOUR_MS = 3_600_000;

/** All that it takes to see the same run again. */
function nameOf({ seed, hash, calls, outcomes, faults, used }: ChaosResult): string {
  return `seed ${seed}, trace ${hash}, ${calls} calls ${JSON.stringify(outcomes)}, faults ${JSON.stringify(faults)}, used ${JSON.stringify(used)}`;
}

describe('an hour of crashes, pauses, partitions, lost and doubled messages, slow machines and jumping calendars', () => {
  it.each(SEEDS)(
    'loses no call and counts none twice, and goes the same way again: seed %i',
    { timeout: 600_000 },
    async (seed) => {
      const first = await runChaos({ seed, durationMs: HOUR_MS });
      expect(first.problems, nameOf(first)).toEqual([]);
      const second = await runChaos({ seed, durationMs: HOUR_MS });
      expect(second, `${nameOf(first)}; again: trace ${second.hash}`).toEqual(first);
      // Enough happened for this to mean something.
      expect(first.calls, nameOf(first)).toBeGreaterThan(12_000);
      expect(Object.keys(first.faults), nameOf(first)).toHaveLength(9);
      expect(first.attempts, nameOf(first)).toBeGreaterThan(first.calls);
      const { plain, near, sharded } = first.used;
      expect(
        [plain.retries, near.hedges, near.probes, sharded.wrongShards].every((times) => times > 10),
        nameOf(first),
      ).toBe(true);
      expect(first.outcomes['deadline-exceeded'], nameOf(first)).toBeGreaterThan(0);
      expect((first.outcomes.ok ?? 0) / first.calls, nameOf(first)).toBeGreaterThan(0.95);
    },
  );

  it('goes another way with another seed', async () => {
    const [one, other] = await Promise.all([1, 2].map((seed) => runChaos({ seed, durationMs: 60_000 })));
    expect(one?.hash).not.toBe(other?.hash);
  });

  it('does without faults what it is asked to: every call is answered', async () => {
    const result = await runChaos({ seed: 3, durationMs: 60_000, faultEveryMs: Number.MAX_SAFE_INTEGER });
    expect(result.problems).toEqual([]);
    expect(result.faults).toEqual({});
    expect(result.outcomes).toEqual({ ok: result.calls });
  });
});
