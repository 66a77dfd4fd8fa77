/** A process that answers every POST with 128 bytes, at as many ports as asked for. The cheapest server node:http makes. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const ports = Number(process.argv[2] ?? '4');
const body = Buffer.alloc(128, 'x');

const addresses = await Promise.all(
  Array.from({ length: ports }, async () => {
    const server = createServer((request, response) => {
      request.resume();
      request.on('end', () => {
        response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
        response.end(body);
      });
    });
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }),
);
process.send?.(addresses);
process.on('disconnect', () => process.exit(0));
