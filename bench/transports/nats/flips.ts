/** T4: from the put of a document to its arrival at a thousand watches, each on a connection of its own. */

import * as nats from '@nats-io/transport-node';
import { createNatsClient, createNatsState } from 'evenkeel/nats';
import type { NatsServer } from '../../../test/support/nats-server.js';
import { type Child, startChild } from '../../support/child.js';
import type { Claim } from '../../support/claim.js';
import { quantile } from '../../support/paired.js';
import { programVersion } from '../../support/versions.js';

const PROCESSES = 4;
const CONNECTIONS = 250;
const FLIPS = 100;
const FLIP_EVERY_MS = 200;
const BAR_MS = 250;

export async function flips(server: NatsServer, onClaim: (claim: Claim) => void): Promise<void> {
  const client = createNatsClient({ nats, connect: { servers: server.servers } });
  const state = createNatsState({ client, bucket: 'flips' });
  // The bucket is there before a thousand clients ask for it.
  await state.put('warm', new Uint8Array(1));
  const program = new URL('./flips-watchers.mjs', import.meta.url);
  const children: Child<string>[] = [];
  try {
    // One after the other: connecting is not what is measured.
    for (let i = 0; i < PROCESSES; i++) children.push(await startChild<string>(program, [server.servers, String(CONNECTIONS)]));
    for (let flip = 0; flip < FLIPS; flip++) {
      await state.put('knob', Buffer.from(JSON.stringify({ v: 1, flip, sentNs: String(process.hrtime.bigint()) })));
      await new Promise((resolve) => setTimeout(resolve, FLIP_EVERY_MS));
    }
    const latencies = (await Promise.all(children.map(collect))).flat();
    const expected = PROCESSES * CONNECTIONS * FLIPS;
    const p99 = quantile(latencies, 0.99);
    onClaim({
      id: 'T4',
      claim: `p99 of a put until ${PROCESSES * CONNECTIONS} watches in ${PROCESSES} processes have it, ${FLIPS} puts, the first counted`,
      bar: `<= ${BAR_MS} ms`,
      measured: p99,
      unit: 'ms',
      low: quantile(latencies, 0.5),
      high: latencies.reduce((a, b) => Math.max(a, b), 0),
      samples: latencies.length,
      holds: p99 <= BAR_MS && latencies.length === expected,
      note: `low and high: median and worst; ${latencies.length} of ${expected} arrivals`,
      peers: [
        { name: 'nats-server', version: programVersion('nats-server') ?? '', settings: 'one server, file store', measured: '' },
      ],
    });
  } finally {
    for (const child of children) await child[Symbol.asyncDispose]();
    await state.close();
    await client.close();
  }
}

function collect(child: Child<string>): Promise<number[]> {
  return new Promise((resolve) => {
    child.process.once('message', (latencies) => resolve(latencies as number[]));
    child.process.send('collect');
  });
}
