/** What the gRPC door touches of @grpc/grpc-js, by shape; the same since its 1.12. */

export interface GrpcMetadataLike {
  get(key: string): readonly (string | Uint8Array)[];
  set(key: string, value: string): void;
  getMap(): Record<string, unknown>;
  merge(other: GrpcMetadataLike): void;
}

export interface GrpcStatusLike {
  readonly code?: number;
  readonly details?: string;
  readonly metadata?: GrpcMetadataLike | null;
}

export interface GrpcListenerLike {
  onReceiveMetadata(metadata: GrpcMetadataLike): void;
  onReceiveMessage(message: unknown): void;
  onReceiveHalfClose(): void;
  onCancel(): void;
}

/** `ServerInterceptingCallInterface`. */
export interface GrpcServerCallLike {
  start(listener: GrpcListenerLike): void;
  sendMetadata(metadata: GrpcMetadataLike): void;
  sendMessage(message: unknown, callback: () => void): void;
  sendStatus(status: GrpcStatusLike): void;
  getPeer(): string;
  getDeadline(): Date | number;
}

/** What is known of a call before its first message. */
export interface GrpcDoorRequest {
  /** `/pkg.Service/Method`. */
  readonly path: string;
  readonly metadata: GrpcMetadataLike;
}

/** A server interceptor of grpc-js. It returns the call it was given, which its type cannot say: the class that grpc-js names has private members. */
export type GrpcLimiterInterceptor = <Call>(method: GrpcMethodLike, call: GrpcServerCallLike) => Call;

/** `ServerMethodDefinition`. */
export interface GrpcMethodLike {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}
