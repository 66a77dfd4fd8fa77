export { createFileBlobs, type FileBlobOptions } from './blob.js';
export type { FileFacts, FileSystem, FolderEntry, OpenFile } from './file-system.js';
export { liveFileSystem } from './file-system.js';
export {
  createFileState,
  DEFAULT_MAX_STATE_KEYS,
  DEFAULT_MAX_STORE_BYTES,
  type FileStateOptions,
} from './state.js';
