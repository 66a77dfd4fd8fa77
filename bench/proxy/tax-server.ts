/** A process that answers every POST with 128 bytes, and tells its times to those who ask. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const body = Buffer.alloc(128, 'x');
const PLAIN = { 'content-type': 'text/plain', 'content-length': body.length };
const TOLD = { ...PLAIN, 'server-timing': 'q;dur=0.012, app;dur=0.345, ser;dur=0.006', 'evenkeel-descendants': '0' };

const addresses = await Promise.all(
  Array.from({ length: Number(process.argv[2] ?? '4') }, async () => {
    const server = createServer((request, response) => {
      request.resume();
      request.on('end', () => {
        response.writeHead(200, request.headers['evenkeel-depth'] === undefined ? PLAIN : TOLD);
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
