export { createFileBlobs, type FileBlobOptions } from './blob.js';
export type { FileFacts, FileSystem, FolderEntry, OpenFile } from './file-system.js';
export { liveFileSystem } from './file-system.js';
export {
  createFileQueue,
  DEFAULT_MAX_QUEUE_BYTES,
  DEFAULT_MAX_QUEUE_ITEMS,
  DEFAULT_QUEUE_SEGMENT_BYTES,
  type FileQueueOptions,
  type FileQueueStore,
  type FileQueueStoreOptions,
  fileQueueStore,
} from './queue.js';
export type { ProcessIdentity, ProcessTable } from './queue-process.js';
export {
  createFileState,
  DEFAULT_MAX_STATE_KEYS,
  DEFAULT_MAX_STORE_BYTES,
  type FileStateOptions,
} from './state.js';
