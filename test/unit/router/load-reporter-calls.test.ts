import { describe, expect, it } from 'vitest';
import { type CallAnswer, type CallBody, decodeLoadHeader, type IncomingCall, type LoadSample } from '../../../src/core/index.js';
import { createLoadReporter, type LoadReporterOptions, type ReportedCallHandler } from '../../../src/router/index.js';
import { fakeRuntime } from '../../support/fake-host.js';

const GRPC = ['content-type', 'application/grpc'];

async function* pieces(...all: string[]) {
  yield* all;
}

async function read(body: CallBody | undefined): Promise<string> {
  if (body === undefined || typeof body === 'string') return body ?? '';
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  let text = '';
  for await (const piece of body) text += piece;
  return text;
}

function reporterOf(options: LoadReporterOptions = {}) {
  const runtime = fakeRuntime();
  const reporter = createLoadReporter({ runtime, ...options });
  const gone = new AbortController();
  const serve = async (handler: ReportedCallHandler, request: Partial<IncomingCall> = {}): Promise<CallAnswer> =>
    reporter.calls(handler)({
      path: '/x',
      method: 'POST',
      headers: [],
      body: (async function* () {})(),
      signal: gone.signal,
      ...request,
    });
  const sample = (key = 'host'): LoadSample => runtime.load.counter(key).read();
  return { serve, sample, gone };
}

const valueIn = (headers: readonly string[] | undefined, name: string) => headers?.[headers.indexOf(name) + 1] ?? '';
const trailersOf = ({ trailers }: CallAnswer) => (typeof trailers === 'function' ? trailers() : trailers);

describe('a handler of calls', () => {
  it('is counted while it works, and its answer tells the load of that moment', async () => {
    const { serve, sample } = reporterOf({ capacity: 4 });
    void serve(() => new Promise(() => {}));
    const answer = await serve(() => ({ status: 201, headers: ['x-a', '1'], body: 'hello' }));
    expect(decodeLoadHeader(valueIn(answer.headers, 'endpoint-load-metrics'))).toMatchObject({ namedMetrics: { host: 2 } });
    expect([answer.status, valueIn(answer.headers, 'x-a'), answer.body]).toEqual([201, '1', 'hello']);
    expect(answer.trailers).toBeUndefined();
    expect(sample().inFlight).toBe(1);
  });

  it('is in flight until its streamed answer has ended', async () => {
    const { serve, sample } = reporterOf();
    const answer = await serve(() => ({ status: 200, body: pieces('a', 'b') }));
    expect(sample().inFlight).toBe(1);
    expect(await read(answer.body)).toBe('ab');
    expect(sample().inFlight).toBe(0);
  });

  it('over gRPC tells the load in binary trailers, as of the end', async () => {
    const { serve, sample } = reporterOf();
    const answer = await serve(() => ({ status: 200, body: pieces('a'), trailers: ['x-t', '1'] }), { headers: GRPC });
    await read(answer.body);
    expect(sample().inFlight).toBe(1);
    const trailers = trailersOf(answer);
    expect(sample().inFlight).toBe(0);
    expect(valueIn(trailers, 'x-t')).toBe('1');
    const report = decodeLoadHeader(`BIN ${valueIn(trailers, 'endpoint-load-metrics-bin')}`);
    expect(report).toMatchObject({ namedMetrics: { host: 0 } });
  });

  it('whose answer breaks is an error', async () => {
    const { serve, sample } = reporterOf();
    for (const headers of [[], GRPC]) {
      const body = (async function* () {
        yield 'a';
        throw new Error('broken');
      })();
      const answer = await serve(() => ({ status: 200, body }), { headers });
      await expect(read(answer.body)).rejects.toThrow('broken');
    }
    expect(sample()).toMatchObject({ inFlight: 0, errorsPerSecond: 2 });
  });

  it('whose caller goes away is over, and that says nothing of the server', async () => {
    const { serve, sample, gone } = reporterOf();
    void serve(() => new Promise(() => {}));
    gone.abort();
    expect(sample()).toMatchObject({ inFlight: 0, ratePerSecond: 0, errorsPerSecond: 0 });
  });

  it('that throws is an error, and what it threw is thrown on', async () => {
    const { serve, sample } = reporterOf();
    await expect(
      serve(() => {
        throw new Error('broken handler');
      }),
    ).rejects.toThrow('broken handler');
    expect(sample()).toMatchObject({ inFlight: 0, errorsPerSecond: 1 });
  });

  it('is told deadline and criticality, and a deadline that does not parse never reaches it', async () => {
    const { serve } = reporterOf();
    const contexts: unknown[] = [];
    const handler: ReportedCallHandler = (_call, { context }) => {
      contexts.push(context);
      return { status: 200 };
    };
    await serve(handler, { headers: ['grpc-timeout', '5S', 'baggage', 'evenkeel.criticality=sheddable'] });
    expect(contexts).toMatchObject([{ criticality: 'sheddable', deadline: expect.any(Number) }]);
    expect((await serve(handler, { headers: ['grpc-timeout', 'soon'] })).status).toBe(400);
    expect(contexts).toHaveLength(1);
  });

  it('leaves the load route to the reporter', async () => {
    const { serve } = reporterOf();
    const answer = await serve(() => ({ status: 500 }), { path: '/load', method: 'GET' });
    expect([answer.status, JSON.parse(await read(answer.body))]).toMatchObject([200, { named_metrics: { host: 0 } }]);
  });
});
