/** R1 and R2: CPU per request of router.call against bare undici over the same pools. A process of its own, so that other Nodes can run it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { metrics, trace } from '@opentelemetry/api';
import { createRuntime, openTelemetry, runWithContext, staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter, type Router } from 'evenkeel/router';
import * as undici from 'undici';
import { pairedRatio, type Side } from '../support/paired.js';

const PORTS = 4;
const BODY = Buffer.alloc(128, 'y');
const HEADERS = ['content-type', 'application/octet-stream'];

interface Answer {
  status: number;
  body: Uint8Array;
}

/** What a careful user of Pool.dispatch writes: one object, one promise, the body in one piece. */
class BareCall {
  #status = 0;
  #chunk: Uint8Array | undefined;
  #more: Uint8Array[] | undefined;
  constructor(
    readonly resolve: (answer: Answer) => void,
    readonly reject: (error: Error) => void,
  ) {}
  onConnect(): void {}
  onHeaders(status: number): boolean {
    this.#status = status;
    return true;
  }
  onData(chunk: Buffer): boolean {
    if (this.#chunk === undefined) this.#chunk = chunk;
    else if (this.#more === undefined) this.#more = [this.#chunk, chunk];
    else this.#more.push(chunk);
    return true;
  }
  onComplete(): void {
    this.resolve({
      status: this.#status,
      body: this.#more === undefined ? (this.#chunk ?? Buffer.alloc(0)) : Buffer.concat(this.#more),
    });
  }
  onError(error: Error): void {
    this.reject(error);
  }
}

function inFlight(concurrency: number, requests: number, one: () => Promise<unknown>): Promise<void> {
  let left = requests;
  const lane = async () => {
    while (left-- > 0) await one();
  };
  return Promise.all(Array.from({ length: concurrency }, lane)).then(() => {});
}

async function main(): Promise<void> {
  const pairs = Number(process.argv[2] ?? '24');
  const only = (process.argv[3] ?? '').split(',').filter((id) => id !== '');
  const server: ChildProcess = fork(new URL('./echo-server.mjs', import.meta.url), [String(PORTS)], { stdio: 'inherit' });
  const [addresses] = (await once(server, 'message')) as [string[]];
  const pools = new Map(
    addresses.map((address) => [address, new undici.Pool(address, { connections: 64, headersTimeout: 0, bodyTimeout: 0 })]),
  );
  const list = [...pools.values()];
  const poolOf = (origin: string) => pools.get(origin) as undici.Pool;
  const transport = createHttpTransport({ undici, pool: poolOf });
  const telemetry = openTelemetry({ meter: metrics.getMeter('bench'), tracer: trace.getTracer('bench') });
  const runtime = createRuntime({ telemetry });
  const router: Router = createRouter({
    service: 'echo',
    resolver: staticResolver(addresses),
    transport,
    runtime,
    timeoutMs: 10_000,
    attemptTimeoutMs: 5000,
    firstByteTimeoutMs: 5000,
    idleTimeoutMs: 5000,
  });
  let turn = 0;
  const bareDispatch = () =>
    new Promise<Answer>((resolve, reject) => {
      turn = (turn + 1) % list.length;
      (list[turn] as undici.Pool).dispatch(
        { path: '/', method: 'POST', headers: HEADERS, body: BODY },
        new BareCall(resolve, reject) as unknown as undici.Dispatcher.DispatchHandler,
      );
    });
  const bareRequest = async () => {
    turn = (turn + 1) % list.length;
    const { body } = await (list[turn] as undici.Pool).request({ path: '/', method: 'POST', headers: HEADERS, body: BODY });
    let bytes = 0;
    for await (const chunk of body) bytes += (chunk as Buffer).length;
    if (bytes !== 128) throw new Error(`${bytes} bytes`);
  };
  const routed = () => router.call({ path: '/', method: 'POST', headers: HEADERS, body: BODY });
  const routedStream = async () => {
    const { stream } = await router.call({ path: '/', method: 'POST', headers: HEADERS, body: BODY, response: 'stream' });
    let bytes = 0;
    for await (const chunk of stream ?? []) bytes += chunk.length;
    if (bytes !== 128) throw new Error(`${bytes} bytes`);
  };
  const results: Record<string, unknown>[] = [];
  const measure = async (
    id: string,
    concurrency: number,
    requests: number,
    a: () => Promise<unknown>,
    b: () => Promise<unknown>,
  ) => {
    if (only.length > 0 && !only.some((prefix) => id.startsWith(prefix))) return;
    const side = (name: string, one: () => Promise<unknown>): Side => ({ name, run: () => inFlight(concurrency, requests, one) });
    const ratio = await pairedRatio(side('evenkeel', a), side('undici', b), { pairs, warmUps: 20 });
    results.push({ id, concurrency, requests, ...ratio, aMicros: ratio.aMicros / requests, bMicros: ratio.bMicros / requests });
    if (process.send === undefined) console.log(results.at(-1));
  };
  const all = async (label: string) => {
    await measure(`R1.c16${label}`, 16, 2000, routed, bareDispatch);
    await measure(`R1.c1${label}`, 1, 600, routed, bareDispatch);
    await measure(`R2.c16${label}`, 16, 2000, routedStream, bareRequest);
    await measure(`R2.c1${label}`, 1, 600, routedStream, bareRequest);
  };
  await all('');
  // Once a context was ambient, every await of the process pays; both sides run inside one.
  await runWithContext(runtime, { criticality: 'critical' }, () => all('.ambient'));
  process.send?.(results);
  await router.drain();
  await transport.drain();
  server.disconnect();
}

await main();
