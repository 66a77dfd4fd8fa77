/** A router on real time and real sockets, and the proof that nothing of it is left. */
import assert from 'node:assert/strict';
import { type CallTransport, createRuntime, type EndpointLike, type Runtime, staticResolver } from 'evenkeel/core';
import { createHttpTransport, type HttpTransportOptions } from 'evenkeel/http';
import { createRouter, type Router, type RouterOptions } from 'evenkeel/router';
import * as undici from 'undici';
import { eventually } from './http-servers.js';

export interface LiveRouter extends AsyncDisposable {
  readonly router: Router;
  readonly transport: CallTransport;
  readonly runtime: Runtime;
  /** Every begin was ended once. */
  balanced(): Promise<void>;
}

export function liveRouter(
  endpoints: readonly EndpointLike[],
  options: Partial<RouterOptions> = {},
  http: Partial<HttpTransportOptions> = {},
): LiveRouter {
  const runtime = options.runtime ?? createRuntime();
  const transport = options.transport ?? createHttpTransport({ undici, ...http });
  const router = createRouter({
    service: 'test',
    timeoutMs: 10_000,
    ...options,
    resolver: options.resolver ?? staticResolver(endpoints),
    transport,
    runtime,
  });
  const balanced = async () => {
    await eventually('no call is in flight', () => router.snapshot().inFlight === 0);
    for (const key of runtime.load.keys()) {
      const { inFlight, weight } = runtime.load.counter(key).read();
      assert.deepEqual([inFlight, weight], [0, 0], key);
    }
  };
  return {
    router,
    transport,
    runtime,
    balanced,
    async [Symbol.asyncDispose]() {
      await router.close();
      await transport.close();
      await balanced();
    },
  };
}
