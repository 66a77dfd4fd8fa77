/**
 * A fleet in one process: each server at a port of its own, with `slots` at work and the rest queued, and log-normal service times that
 * burn no CPU. Arguments: JSON `{ means: ms[], sigma, slots, seed, ports? }`; without ports free ones
 * are taken. Tells the parent the addresses. The parent may say `reject` (everything is answered 503) and `serve`; the answer is when.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { seededRandom } from 'evenkeel/core';

interface Plan {
  readonly means: readonly number[];
  readonly sigma: number;
  readonly slots: number;
  readonly seed: number;
  readonly ports?: readonly number[];
}

export interface SlowServers {
  readonly addresses: readonly string[];
  /** By Date.now(), when the first of them listened. */
  readonly listeningAtMs: number;
}

const plan = JSON.parse(process.argv[2] ?? '{}') as Plan;

let isRejecting = false;
let listeningAtMs = Number.POSITIVE_INFINITY;
const addresses = await Promise.all(
  plan.means.map(async (meanMs, index) => {
    const random = seededRandom(`${plan.seed}/${index}`);
    const waiting: ServerResponse[] = [];
    let working = 0;
    const work = (response: ServerResponse) => {
      working++;
      setTimeout(() => {
        working--;
        response.end('done');
        const next = waiting.shift();
        if (next !== undefined) work(next);
      }, logNormal(meanMs));
    };
    const logNormal = (mean: number) => {
      const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
      return mean * Math.exp(plan.sigma * normal - plan.sigma ** 2 / 2);
    };
    const server = createServer((request, response) => {
      request.resume();
      if (isRejecting) response.writeHead(503).end();
      else if (working < plan.slots) work(response);
      else waiting.push(response);
    });
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => server.listen(plan.ports?.[index] ?? 0, '127.0.0.1', resolve));
    listeningAtMs = Math.min(listeningAtMs, Date.now());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }),
);
process.on('message', (message) => {
  isRejecting = message === 'reject';
  process.send?.(Date.now());
});
process.send?.({ addresses, listeningAtMs } satisfies SlowServers);
process.on('disconnect', () => process.exit(0));
