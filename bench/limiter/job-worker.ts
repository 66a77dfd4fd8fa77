/** Runs jobs one after the other, as its parent sends them. */
import { runOverload, throttledClient, weighted } from 'evenkeel/sim';
import type { Job } from './jobs.js';
import { POLICIES } from './policies.js';

/** Nine of ten take 2 ms, one takes 82: as prefill and decode do. Mean 10 ms. */
const bimodal = (() => {
  const pick = weighted([0.9, 0.1]);
  return (random: Parameters<typeof pick>[0]) => (pick(random) === 0 ? 2 : 82);
})();

process.on('message', (job: Job) => {
  process.send?.(
    runOverload({
      seed: job.seed,
      slots: job.slots,
      refusalShare: job.refusalShare,
      phases: job.phases,
      admission: POLICIES[job.policy],
      ...(job.work === 'bimodal' ? { workMs: bimodal } : undefined),
      ...(job.criticalShare === undefined ? undefined : { criticalShare: job.criticalShare }),
      ...(job.isThrottled ? { client: { throttle: throttledClient() } } : undefined),
    }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
