export {
  createNatsClient,
  DEFAULT_NATS_REQUEST_TIMEOUT_MS,
  DEFAULT_NATS_TIMEOUT_MS,
  type NatsClient,
  type NatsClientOptions,
} from './client.js';
export type { NatsModule } from './peer.js';
