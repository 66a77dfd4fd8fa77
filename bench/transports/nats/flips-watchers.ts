/** One of T4's processes: watches on connections of their own. */
import * as nats from '@nats-io/transport-node';
import { createNatsClient, createNatsState } from 'evenkeel/nats';

const [servers = '', count = '1'] = process.argv.slice(2);
const latencies: number[] = [];

function watchOnce(): Promise<void> {
  return new Promise((resolve) => {
    const client = createNatsClient({ nats, connect: { servers } });
    createNatsState({ client, bucket: 'flips' }).watch('knob', ({ type, entry }) => {
      if (type === 'synced') resolve();
      if (type !== 'put' || entry === undefined) return;
      const { sentNs } = JSON.parse(Buffer.from(entry.value).toString()) as { sentNs: string };
      // The monotonic clock of the machine, the same for all its processes.
      latencies.push(Number(process.hrtime.bigint() - BigInt(sentNs)) / 1e6);
    });
  });
}

// A few at a time: a thousand first lists at once are another benchmark.
for (let left = Number(count); left > 0; left -= 25) await Promise.all(Array.from({ length: Math.min(25, left) }, watchOnce));
process.on('message', () => process.send?.(latencies));
process.on('disconnect', () => process.exit());
process.send?.('ready');
