export type { BlobStat, BlobTransport, BlobWriter } from './blob.js';
export type {
  CallAnswer,
  CallBody,
  CallCompression,
  CallExtension,
  CallGuard,
  CallHandle,
  CallHandler,
  CallRequest,
  CallSink,
  CallTransport,
  IncomingCall,
  Listener,
  ListenOptions,
} from './call.js';
export type { DeadLetter, Delivery, QueueItem, QueueStats, QueueTransport } from './queue.js';
export { MAX_QUEUE_BATCH, MAX_QUEUE_BODY_BYTES } from './queue.js';
export type { PutOptions, StateEntry, StateEvent, StateTransport, Watch } from './state.js';
export { MAX_STATE_BYTES, MAX_STATE_KEY_BYTES } from './state.js';
