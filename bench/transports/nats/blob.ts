/** T6: a large blob, written and read, against the object store of NATS's own client. */
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import * as nats from '@nats-io/transport-node';
import { createNatsBlobs, createNatsClient } from 'evenkeel/nats';
import type { NatsServer } from '../../../test/support/nats-server.js';
import type { Claim } from '../../support/claim.js';
import { interleaved } from '../../support/interleaved.js';
import { median, medianInterval } from '../../support/paired.js';
import { versionOf } from '../../support/versions.js';

const BYTES = 64 * 1024 * 1024;
const MIB = BYTES / 1024 / 1024;
const ROUNDS = 7;
const READ_BYTES = 8 * 1024 * 1024;
const BAR = 3;

export async function blobRates(server: NatsServer, onClaim: (claim: Claim) => void): Promise<void> {
  const connection = await nats.connect({ servers: server.servers });
  const client = createNatsClient({ nats, connect: { servers: server.servers } });
  const blobs = createNatsBlobs({ client, bucket: 'bench' });
  const store = await new Objm(jetstream(connection)).create('bench');
  const bytes = new Uint8Array(BYTES).map((_, i) => i * 7);
  const target = new Uint8Array(READ_BYTES);
  const writes = {
    async evenkeel() {
      const writer = await blobs.writer('large', { bytes: BYTES });
      for (let at = 0; at < BYTES; ) {
        const buffer = await writer.buffer();
        const n = Math.min(buffer.byteLength, BYTES - at);
        buffer.set(bytes.subarray(at, at + n));
        await writer.write(n);
        at += n;
      }
      await writer.commit();
    },
    async 'object store'() {
      await store.putBlob({ name: 'large' }, bytes);
    },
  };
  const reads = {
    async evenkeel() {
      for (let at = 0; at < BYTES; ) at += await blobs.readInto('large', at, target);
    },
    async 'object store'() {
      const read = await store.getBlob('large');
      if (read?.byteLength !== BYTES) throw new Error('the object store lost bytes');
    },
  };
  try {
    onClaim(claimOf('T6.write', 'written', await interleaved(writes, ROUNDS, MIB)));
    onClaim(claimOf('T6.read', 'read', await interleaved(reads, ROUNDS, MIB)));
  } finally {
    await blobs.close();
    await client.close();
    await connection.close();
  }
}

function claimOf(id: string, verb: string, rates: Record<'evenkeel' | 'object store', number[]>): Claim {
  const ratio = medianInterval(rates.evenkeel.map((rate, i) => rate / (rates['object store'][i] as number)));
  return {
    id,
    claim: `rate at which a blob of ${MIB} MiB is ${verb}, over the object store of the client`,
    bar: `>= ${BAR}x`,
    measured: ratio.median,
    unit: 'x',
    low: ratio.low,
    high: ratio.high,
    samples: ROUNDS,
    holds: ratio.low >= BAR,
    peers: [
      {
        name: '@nats-io/obj',
        version: versionOf('@nats-io/obj'),
        settings: 'putBlob and getBlob, default chunks of 128 KiB',
        measured: `${median(rates['object store']).toFixed(0)} MiB/s; evenkeel ${median(rates.evenkeel).toFixed(0)} MiB/s`,
      },
    ],
  };
}
