/** Answers at as many ports as asked for, and leaves it to its callers how long they keep a connection: it names no time of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const addresses = await Promise.all(
  Array.from({ length: Number(process.argv[2] ?? '1') }, async () => {
    const server = createServer((_request, response) => {
      // Said by hand, so that node adds no `Keep-Alive: timeout`, which clients would go by.
      response.writeHead(200, { connection: 'keep-alive', 'content-length': 2 });
      response.end('ok');
    });
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }),
);
process.send?.(addresses);
process.on('disconnect', () => process.exit(0));
