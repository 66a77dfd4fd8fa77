/**
 * One inference server of the demo, a process of its own: `POST /v1/chat/completions`, `GET /health`, `GET /load`. Started by the
 * demo, and gone with it: when the channel to the parent closes, whatever the reason, it exits.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { liveClock } from 'evenkeel/core';
import { createLoadReporter, type ServedCall } from 'evenkeel/router';
import { sendJson, serveChat } from './replica/chat.js';
import { type FromReplica, type ReplicaConfig, SERVED_BY_HEADER, type ToReplica } from './replica/messages.js';
import { ServiceModel } from './replica/service-model.js';

const config: ReplicaConfig = JSON.parse(process.argv[2] ?? '{}');
const model = new ServiceModel(liveClock(), config.figures);
model.slowdown = config.slowdown;

const tell = (message: FromReplica) => process.connected && process.send?.(message);
/** Counts requests by model, tells callers with each answer, and answers `GET /load`. */
const reporter = createLoadReporter({ capacity: config.figures.slots });

async function handle(request: IncomingMessage, response: ServerResponse, call: ServedCall): Promise<void> {
  response.setHeader(SERVED_BY_HEADER, config.index);
  const route = `${request.method} ${request.url?.split('?')[0]}`;
  if (route === 'POST /v1/chat/completions') await serveChat(model, call, request, response);
  else if (route === 'GET /health') sendJson(response, 200, { status: 'ok' });
  else sendJson(response, 404, { error: { type: 'not_found_error', message: `no ${route} here` } });
}

const server = createServer(reporter.node(handle));
// Longer than any client keeps an idle connection: a server that closes first races with the next request.
server.keepAliveTimeout = 60_000;
server.listen(config.port, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) tell({ type: 'listening', port: address.port });
});

setInterval(() => tell({ type: 'sample', inFlight: model.running + model.waiting }), config.sampleMs).unref();
process.on('message', ({ type, factor }: ToReplica) => {
  if (type === 'slowdown') model.slowdown = factor;
});
process.on('disconnect', () => process.exit());
// It may have gone while this process was starting, when nobody listened yet.
if (!process.connected) process.exit();
// A terminal sends Ctrl-C to the whole group; the parent ends its servers itself.
process.on('SIGINT', () => {});
