/** R8.cold-start: one start of a router whose store does not answer and whose list is on disk. A process of its own: nothing is warm. */
import { type StateTransport, stateResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';

const [, , service = '', cacheFile = ''] = process.argv;
const never = <T>() => new Promise<T>(() => {});

/** A store that accepts everything and answers nothing. */
const state: StateTransport = {
  get: () => never(),
  put: () => never(),
  delete: () => never(),
  watch: () => ({ ageMs: Number.POSITIVE_INFINITY, close: () => {} }),
  close: async () => {},
};

const transport = createHttpTransport({ undici });
const resolver = stateResolver({ state, service, cacheFile });
const startedAt = performance.now();
const router = createRouter({ service, transport, resolver });
const { status } = await router.call({ path: '/', method: 'POST', body: 'x' });
const ms = performance.now() - startedAt;
if (status !== 200) throw new Error(`status ${status}`);
process.send?.(ms);
await router.close();
await transport.close();
process.disconnect?.();
