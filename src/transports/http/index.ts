export type { ContentEncoding } from './codecs.js';
export {
  type Compression,
  type CompressionOptions,
  createCompression,
  DEFAULT_MAX_DECODED_BYTES,
  DEFAULT_MIN_COMPRESSED_BYTES,
} from './compression.js';
export {
  createHttpTransport,
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_CONNECTIONS,
  DEFAULT_KEEP_ALIVE_MS,
  DEFAULT_MAX_HEADER_BYTES,
  type HttpTransport,
  type HttpTransportOptions,
  type Undici,
  type UndiciDispatcher,
} from './transport.js';
