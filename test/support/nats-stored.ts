/** What a bucket of blobs consists of on the server. */
import * as nats from '@nats-io/transport-node';
import type { NatsServer } from './nats-server.js';

/** Subjects of the bucket's stream by the first token below it: chunks, manifests, intents. */
export async function storedBlobParts(server: NatsServer, bucket: string): Promise<Record<string, number>> {
  const connection = await nats.connect({ servers: server.servers });
  const answer = await connection.request(`$JS.API.STREAM.INFO.EKB_${bucket}`, JSON.stringify({ subjects_filter: '>' }));
  await connection.close();
  const counts: Record<string, number> = { c: 0, m: 0, w: 0 };
  const { state } = answer.json<{ state: { subjects?: Record<string, number> } }>();
  for (const subject of Object.keys(state.subjects ?? {})) {
    const kind = subject.split('.')[2] ?? '';
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
