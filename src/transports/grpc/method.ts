/** A method as a call transport takes it: a path, and messages as bytes. */
import { invalidArgument } from '../../core/errors.js';

/** Of generated code (`Service.Method`) or of @grpc/proto-loader; the part that is used. */
export interface GrpcMethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (message: Request) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface GrpcMethod<Request, Response> {
  readonly path: string;
  /** One message of a request: the body of a unary call, a piece of the body of a streaming one. */
  encode(message: Request): Uint8Array;
  /** One message of a response: the body of a unary call, a chunk of a streaming one. */
  decode(bytes: Uint8Array): Response;
}

/**
 * Makes typed calls of generated code through a router: retries, deadlines and load come from the router, messages from the definition.
 * Without protobuf of its own; free but for what the definition costs.
 *
 * @throws {EvenkeelError} `invalid-argument` for what is no method definition.
 * @example
 * ```ts
 * const greet = grpcMethod(proto.Greeter.service.Greet);
 * const response = await router.call({ path: greet.path, body: greet.encode({ name: 'Ada' }) });
 * if (response.ok) console.log(greet.decode(await response.bytes()));
 * ```
 */
export function grpcMethod<Request, Response>(
  definition: GrpcMethodDefinition<Request, Response>,
): GrpcMethod<Request, Response> {
  const { path, requestSerialize, responseDeserialize } = definition ?? {};
  if (typeof path !== 'string' || typeof requestSerialize !== 'function' || typeof responseDeserialize !== 'function')
    throw invalidArgument('definition', definition, 'a method definition of generated code or @grpc/proto-loader');
  return {
    path,
    encode: (message) => requestSerialize(message),
    decode: (bytes) => responseDeserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  };
}
