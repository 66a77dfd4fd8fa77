export { type GrpcMethod, type GrpcMethodDefinition, grpcMethod } from './method.js';
export type { Grpc } from './peer.js';
export { createGrpcTransport, DEFAULT_MAX_MESSAGE_BYTES, type GrpcTransport, type GrpcTransportOptions } from './transport.js';
