/** Load reports over gRPC, in and out; what we write is read by grpc-js's own parser, which it does not export. */
import * as grpc from '@grpc/grpc-js';
import { createMetricsReader } from '@grpc/grpc-js/build/src/orca.js';
import { createRuntime } from 'evenkeel/core';
import { grpcMethod } from 'evenkeel/grpc';
import { createLoadReporter, responseHeader } from 'evenkeel/router';
import { afterEach, describe, expect, it } from 'vitest';
import { callOnce, foreignClient, GrpcRig, type Text, Texts } from '../support/grpc-peers.js';
import { eventually } from '../support/http-servers.js';

const rig = new GrpcRig();
afterEach(() => rig.close());

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
    const { endpoint } = await rig.foreign(
      {
        Unary: (call, reply) => {
          if (format === 'binary') call.getMetricsRecorder().recordNamedMetric('host', 7);
          reply(null, { text: '' }, decorate(new grpc.Metadata()));
        },
      },
      options,
    );
    const runtime = createRuntime();
    const router = rig.router(rig.transport(), [endpoint.address], { runtime, loadSources: [responseHeader()] });
    const method = grpcMethod(Texts.Unary);
    const response = await router.call({ path: method.path, body: method.encode({ text: '' }) });
    expect(response.status).toBe(200);
    await eventually('it is read', () => router.endpoints()[0]?.reportAgeMs !== undefined);
    const id = endpoint.address;
    expect(runtime.load.remote(id)?.report.namedMetrics).toMatchObject({ host: 7 });
  });

  it('of ours are read by grpc-js, from answers and refusals', async () => {
    const reporter = createLoadReporter({ capacity: 8 });
    const listener = await rig.serve(
      rig.transport(),
      reporter.calls((call, work) => {
        work.model('m');
        return call.path.endsWith('Unary') ? { status: 200, body: '{"text":""}' } : { status: 429 };
      }),
    );
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
    const transport = rig.transport();
    const listener = await rig.serve(
      transport,
      createLoadReporter().calls(() => ({ status: 200, body: 'x' })),
    );
    const endpoint = { id: 'a', address: listener.address };
    const call = await callOnce(transport, endpoint, { path: '/x', headers: ['evenkeel-timeout-ms', '1e9'], body: '' });
    expect([call.status, call.error]).toEqual([400, undefined]);
  });
});
