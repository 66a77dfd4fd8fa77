/** The four transports inside one process: reference implementations, and the default where nothing must outlive the process. */

export type { MemoryBlobOptions } from './blob.js';
export { createMemoryBlob } from './blob.js';
export type { MemoryBlobStore } from './blob-store.js';
export { memoryBlobStore } from './blob-store.js';
export type { MemoryCallOptions, MemoryNetwork } from './call.js';
export { createMemoryCall, memoryNetwork } from './call.js';
export type { MemoryQueueOptions, MemoryQueueStore } from './queue.js';
export { createMemoryQueue, memoryQueueStore } from './queue.js';
export type { MemoryStateOptions } from './state.js';
export { createMemoryState } from './state.js';
export type { MemoryStateStore, MemoryStateStoreOptions } from './state-store.js';
export { memoryStateStore } from './state-store.js';
