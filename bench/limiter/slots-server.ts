/**
 * L7: a service on node:http whose work is eight slots of 100 ms that burn no CPU, as a pool of connections or the places of an
 * accelerator; who finds none waits, first in, first out. Argument: what stands before it. Tells its parent the port.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import underPressure from '@fastify/under-pressure';
import { createLimiter, fastifyLimiter, httpLimiter } from 'evenkeel/limiter';
import Fastify, { type FastifyInstance } from 'fastify';
import { type Contender, SERVICE_MS, SLOTS } from './slots.js';

const waiting: (() => void)[] = [];
let working = 0;

function work(done: () => void): void {
  if (working === SLOTS) waiting.push(done);
  else serve(done);
}

function serve(done: () => void): void {
  working++;
  setTimeout(() => {
    working--;
    done();
    const next = waiting.shift();
    if (next !== undefined) serve(next);
  }, SERVICE_MS);
}

/** Loopback is where the benchmark's callers are. */
const TRUST = { trusted: ['127.0.0.1'] };

function nodeServer(isLimited: boolean) {
  if (!isLimited) return createServer((_request, response) => work(() => response.end('done')));
  const limited = httpLimiter(createLimiter({ name: 'slots', leakWarning: false }), TRUST);
  return createServer(limited((_request, response) => work(() => response.end('done'))));
}

async function fastifyServer(protect: (app: FastifyInstance) => PromiseLike<unknown>) {
  const app = Fastify();
  await protect(app);
  app.get('/', (_request, reply) => {
    work(() => reply.send('done'));
    return reply;
  });
  await app.ready();
  return app.server;
}

const SERVERS: Readonly<Record<Contender, () => unknown>> = {
  unprotected: () => nodeServer(false),
  httpLimiter: () => nodeServer(true),
  'under-pressure': () =>
    fastifyServer((app) => app.register(underPressure, { maxEventLoopDelay: 1000, maxEventLoopUtilization: 0.98 })),
  fastifyLimiter: () =>
    fastifyServer((app) => app.register(fastifyLimiter(createLimiter({ name: 'slots', leakWarning: false }), TRUST))),
};

const server = (await SERVERS[process.argv[2] as Contender]()) as ReturnType<typeof createServer>;
server.keepAliveTimeout = 60_000;
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve));
process.send?.((server.address() as AddressInfo).port);
process.on('disconnect', () => process.exit());
