/** Load reports over gRPC, in and out; what we write is read by grpc-js's own parser, which it does not export. */
import * as grpc from '@grpc/grpc-js';
import { createMetricsReader } from '@grpc/grpc-js/build/src/orca.js';
import { type CallTransport, createRuntime } from 'evenkeel/core';
import { createGrpcTransport, grpcMethod } from 'evenkeel/grpc';
import { createLoadReporter, type Router, responseHeader } from 'evenkeel/router';
import { afterEach, describe, expect, it } from 'vitest';
import { callOnce, foreignClient, foreignServer, type Text, Texts } from '../support/grpc-peers.js';
import { eventually } from '../support/http-servers.js';
import { liveRouter } from '../support/live-router.js';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function make(): ReturnType<typeof createGrpcTransport> {
  const transport = createGrpcTransport({ grpc });
  open.push(() => transport.close());
  return transport;
}

function routerOf(transport: CallTransport, addresses: string[], options: Parameters<typeof liveRouter>[1] = {}): Router {
  const live = liveRouter(addresses, { transport, ...options });
  open.push(() => live[Symbol.asyncDispose]());
  return live.router;
}

describe('load reports', () => {
  it.each([
    ['binary', (metrics: grpc.Metadata) => metrics],
    [
      'text',
      (metadata: grpc.Metadata) => {
        metadata.set('endpoint-load-metrics', 'TEXT named_metrics.host=7');
        return metadata;
      },
    ],
  ])('in %s are read from the trailers of a grpc-js server', async (format, decorate) => {
    const options = format === 'binary' ? { 'grpc.server_call_metric_recording': 1 } : {};
    const { endpoint, kill } = await foreignServer(
      {
        Unary: (call, reply) => {
          if (format === 'binary') call.getMetricsRecorder().recordNamedMetric('host', 7);
          reply(null, { text: '' }, decorate(new grpc.Metadata()));
        },
      },
      options,
    );
    open.push(kill);
    const runtime = createRuntime();
    const router = routerOf(make(), [endpoint.address], { runtime, loadSources: [responseHeader()] });
    const method = grpcMethod(Texts.Unary);
    const response = await router.call({ path: method.path, body: method.encode({ text: '' }) });
    expect(response.status).toBe(200);
    await eventually('it is read', () => router.endpoints()[0]?.reportAgeMs !== undefined);
    const id = endpoint.address;
    expect(runtime.load.remote(id)?.report.namedMetrics).toMatchObject({ host: 7 });
  });

  it('of ours are read by grpc-js, from answers and refusals', async () => {
    const reporter = createLoadReporter({ capacity: 8 });
    const transport = make();
    const listener = await transport.serve(
      { address: 'grpc://127.0.0.1:0' },
      reporter.calls((call, work) => {
        work.model('m');
        return call.path.endsWith('Unary') ? { status: 200, body: '{"text":""}' } : { status: 429 };
      }),
    );
    open.push(() => listener.close());
    using client = foreignClient(listener.address);
    for (const path of [Texts.Unary.path, '/test.Texts/Refused']) {
      const status = await new Promise<grpc.StatusObject>((resolve) => {
        const { requestSerialize, responseDeserialize } = Texts.Unary;
        const call = client.makeUnaryRequest<Text, Text>(path, requestSerialize, responseDeserialize, { text: '' }, () => {});
        call.on('status', resolve);
      });
      let report: { named_metrics?: Record<string, number> } | undefined;
      createMetricsReader((read) => {
        report = read as never;
      }, null)(status.code, status.details, status.metadata);
      expect(report?.named_metrics).toMatchObject({ host: 0 });
    }
  });

  it('of a call whose headers do not parse is a refusal', async () => {
    const transport = make();
    const listener = await transport.serve(
      { address: 'grpc://127.0.0.1:0' },
      createLoadReporter().calls(() => ({ status: 200, body: 'x' })),
    );
    open.push(() => listener.close());
    const endpoint = { id: 'a', address: listener.address };
    const call = await callOnce(transport, endpoint, { path: '/x', headers: ['evenkeel-timeout-ms', '1e9'], body: '' });
    expect([call.status, call.error]).toEqual([400, undefined]);
  });
});
