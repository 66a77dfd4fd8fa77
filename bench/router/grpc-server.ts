/** The echo server of the gRPC peer, at as many ports as asked for. */
import * as grpc from '@grpc/grpc-js';
import { echoService } from './grpc-echo.js';

const ports = Number(process.argv[2] ?? '4');
const { definition, implementation } = echoService();
const addresses = await Promise.all(
  Array.from({ length: ports }, async () => {
    const server = new grpc.Server();
    server.addService(definition, implementation);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return `127.0.0.1:${port}`;
  }),
);
process.send?.(addresses);
process.on('disconnect', () => process.exit(0));
