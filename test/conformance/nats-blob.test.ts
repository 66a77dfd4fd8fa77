import * as nats from '@nats-io/transport-node';
import { createNatsBlobs } from 'evenkeel/nats';
import { type BlobSession, blobConformance } from 'evenkeel/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type NatsServer, natsMissing, natsServer } from '../support/nats-server.js';
import { natsSession } from '../support/nats-session.js';

const traits = { durable: true, maxBuffers: 10, checksums: true, largeBytes: 24 * 1024 * 1024 + 5 };

describe.skipIf(natsMissing !== undefined)('nats blob', { concurrent: true }, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await natsServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const open = async (): Promise<BlobSession> => {
    let bucket = '';
    const session = await natsSession(server, ({ client, name }) => {
      bucket = name;
      return createNatsBlobs({ client, bucket: name });
    });
    /** Stores the chunk in the middle again, under its old checksum, with one bit turned over. */
    const corrupt = async (name: string) => {
      const connection = await nats.connect({ servers: server.servers });
      const last = async (subject: string) =>
        connection.request(`$JS.API.DIRECT.GET.EKB_${bucket}`, JSON.stringify({ last_by_subj: subject }));
      const { id, bytes, chunkBytes } = (await last(`$EKB.${bucket}.m.${name}`)).json<Record<string, number>>();
      const subject = `$EKB.${bucket}.c.${id}.${Math.floor(Number(bytes) / 2 / Number(chunkBytes))}`;
      const chunk = await last(subject);
      const data = new Uint8Array(chunk.data);
      data[data.byteLength >> 1] = (data[data.byteLength >> 1] ?? 0) ^ 1;
      const headers = nats.headers();
      headers.set('Evenkeel-Crc32', chunk.headers?.get('Evenkeel-Crc32') ?? '');
      await connection.request(subject, data, { headers, timeout: 1000 });
      await connection.close();
    };
    return { ...session, corrupt };
  };
  for (const { name, run } of blobConformance({ traits, open })) it(name, run);
});
