export { type GrpcMethod, type GrpcMethodDefinition, grpcMethod } from './method.js';
export type { Grpc } from './peer.js';
export type { GrpcListener } from './server.js';
export {
  createGrpcTransport,
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_MAX_MESSAGE_BYTES,
  type GrpcTransport,
  type GrpcTransportOptions,
} from './transport.js';
