/** T7: from the moment a killed server takes connections again to the first write it acknowledges. */
import * as nats from '@nats-io/transport-node';
import { createNatsClient, createNatsState } from 'evenkeel/nats';
import type { NatsServer } from '../../../test/support/nats-server.js';
import type { Claim } from '../../support/claim.js';

const DOWN_MS = [50, 500, 2000, 4000];
const ROUNDS = 3;
const BAR_MS = 500;

export async function outages(server: NatsServer, onClaim: (claim: Claim) => void): Promise<void> {
  const client = createNatsClient({ nats, connect: { servers: server.servers }, timeoutMs: 20_000 });
  const state = createNatsState({ client, bucket: 'outage' });
  const times: number[] = [];
  try {
    await state.put('document', new Uint8Array(8));
    for (let round = 0; round < ROUNDS; round++) {
      for (const downMs of DOWN_MS) {
        // On its way when the server dies: the case that waits out whole time-outs elsewhere.
        const inFlight = [state.put('document', Buffer.from(`${round}`)), state.put('document', Buffer.from(`${round}`))];
        await server.kill();
        const next = state.put('document', Buffer.from(`${round}`));
        await new Promise((resolve) => setTimeout(resolve, downMs));
        await server.restart();
        const backAt = performance.now();
        await Promise.race([next, ...inFlight]);
        await Promise.all([next, ...inFlight]);
        times.push(performance.now() - backAt);
      }
    }
  } finally {
    await state.close();
    await client.close();
  }
  const worst = Math.max(...times);
  onClaim({
    id: 'T7',
    claim:
      'writes that were on their way when the server was killed, or begun while it was away: all acknowledged after its return',
    bar: `<= ${BAR_MS} ms`,
    measured: worst,
    unit: 'ms',
    low: Math.min(...times),
    high: worst,
    samples: times.length,
    holds: worst <= BAR_MS,
    note: `the worst; away for ${DOWN_MS.join(', ')} ms`,
  });
}
