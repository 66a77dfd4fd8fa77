export { createNatsBlobs, type NatsBlobOptions } from './blob.js';
export {
  createNatsCall,
  DEFAULT_NATS_CALL_PREFIX,
  type NatsCallOptions,
  type NatsCallTransport,
} from './call.js';
export {
  createNatsClient,
  DEFAULT_NATS_REQUEST_TIMEOUT_MS,
  DEFAULT_NATS_TIMEOUT_MS,
  type NatsClient,
  type NatsClientOptions,
} from './client.js';
export type { NatsModule } from './peer.js';
export { createNatsQueue, DEFAULT_NATS_QUEUE_ITEMS, type NatsQueueOptions } from './queue.js';
export { createNatsState, DEFAULT_NATS_BUCKET_BYTES, type NatsStateOptions } from './state.js';
