/** The store that the fleet's knobs follow, from `--store`: a folder of this machine, or servers of NATS. */
import type { Runtime } from '../../core/runtime.js';
import type { StateTransport } from '../../core/transport/state.js';
import { createFileState } from '../../transports/files/index.js';
import { createNatsClient, createNatsState } from '../../transports/nats/index.js';
import { loadNats } from '../nats.js';

export interface OpenedStore {
  readonly state: StateTransport;
  close(): Promise<void>;
}

const DEFAULT_BUCKET = 'knobs';

/** @throws {EvenkeelError} As the factories of these transports. */
export async function openStore(place: string, bucket: string | undefined, { clock }: Runtime): Promise<OpenedStore> {
  if (!/^(nats|tls|wss?):\/\//.test(place)) {
    const state = createFileState({ folder: place });
    return { state, close: () => state.close() };
  }
  const client = createNatsClient({ nats: await loadNats(), connect: { servers: place.split(',') }, clock });
  const state = createNatsState({ client, bucket: bucket ?? DEFAULT_BUCKET });
  return {
    state,
    async close() {
      await state.close();
      await client.close();
    },
  };
}
