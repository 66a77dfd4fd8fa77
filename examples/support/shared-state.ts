/** The store that processes share: a folder of this machine, or NATS where `NATS_URL` names a server. One option, nothing else changes. */
import * as nats from '@nats-io/transport-node';
import type { StateTransport } from 'evenkeel/core';
import { createFileState } from 'evenkeel/files';
import { createNatsClient, createNatsState } from 'evenkeel/nats';

export function sharedState(folder: string): StateTransport {
  const servers = process.env.NATS_URL;
  if (servers === undefined) return createFileState({ folder });
  return createNatsState({ client: createNatsClient({ nats, connect: { servers } }), bucket: 'examples' });
}
