/** Statuses of refused gRPC calls, built once: what they carry is copied by grpc-js as it is sent. */
import type { ErrorCode } from '../../core/errors.js';
import { HEADERS } from '../../core/headers.js';
import type { GrpcMetadataLike, GrpcStatusLike } from './grpc-shapes.js';
import type { RefusalAnswer } from './refusal-answer.js';

export const GRPC_OK = 0;
export const GRPC_RESOURCE_EXHAUSTED = 8;
export const GRPC_UNAVAILABLE = 14;

const CODES: Readonly<Partial<Record<ErrorCode, number>>> = {
  'invalid-argument': 3,
  'deadline-exceeded': 4,
  'resource-exhausted': GRPC_RESOURCE_EXHAUSTED,
  unavailable: GRPC_UNAVAILABLE,
  internal: 13,
};

export class GrpcRefusals {
  readonly #pushback: string;
  readonly #metadata = new Map<ErrorCode, GrpcMetadataLike>();

  constructor(retryAfterMs: number) {
    this.#pushback = String(Math.ceil(retryAfterMs));
  }

  /** @param received - Metadata of any call: grpc-js is not imported, and makes more of its kind. */
  status({ code, message }: RefusalAnswer, received: GrpcMetadataLike): GrpcStatusLike {
    let metadata = this.#metadata.get(code);
    if (metadata === undefined) {
      metadata = newMetadata(received);
      if (code === 'resource-exhausted' || code === 'unavailable') metadata.set(HEADERS.rejected.text, '1');
      // One that is told that the server is going away need not wait: it may go elsewhere.
      if (code === 'resource-exhausted') metadata.set(HEADERS.grpcPushback.text, this.#pushback);
      this.#metadata.set(code, metadata);
    }
    return { code: CODES[code] ?? 13, details: message, metadata };
  }
}

/** Empty. */
export function newMetadata(like: GrpcMetadataLike): GrpcMetadataLike {
  return new (like.constructor as new () => GrpcMetadataLike)();
}
