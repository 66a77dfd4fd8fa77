/** An echo method for grpc-js without generated code: bytes in, bytes out. */
import * as grpc from '@grpc/grpc-js';

const PATH = '/bench.Echo/Echo';
const identity = (bytes: Buffer) => bytes;

export function echoService(): { definition: grpc.ServiceDefinition; implementation: grpc.UntypedServiceImplementation } {
  const method: grpc.MethodDefinition<Buffer, Buffer> = {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  const Echo: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => callback(null, call.request);
  return { definition: { Echo: method }, implementation: { Echo } };
}

/** round_robin over all addresses, as its users set it. */
export function echoClient(addresses: readonly string[]): { echo(body: Buffer): Promise<Buffer>; close(): void } {
  const serviceConfig = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });
  const client = new grpc.Client(`ipv4:${addresses.join(',')}`, grpc.credentials.createInsecure(), {
    'grpc.service_config': serviceConfig,
    'grpc.enable_http_proxy': 0,
  });
  return {
    echo: (body) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(PATH, identity, identity, body, (error, answer) =>
          error ? reject(error) : resolve(answer as Buffer),
        );
      }),
    close: () => client.close(),
  };
}
