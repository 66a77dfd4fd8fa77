import type { ContenderResult } from '../../../demo/result.js';

/** A result as good as any, for tests of what is shown of it. */
export function contenderResult(name: string, p99Ms: number, servers = 2): ContenderResult {
  return {
    name,
    title: name.replace(/^./, (letter) => letter.toUpperCase()),
    about: 'as it comes',
    requests: 1000,
    ok: 997,
    errors: 1,
    timeouts: 2,
    faults: { 'status 503': 1 },
    p50Ms: p99Ms / 5,
    p99Ms,
    p999Ms: p99Ms * 2,
    curve: [0, 0.5, 0.9, 0.99].map((share) => ({ share, ms: p99Ms * (0.2 + share) })),
    tokensPerSecond: 12_345,
    share: new Array<number>(servers).fill(1 / servers),
    slowest: new Array<number>(servers).fill(1 / servers),
    load: Array.from({ length: servers }, () => [0, 200, 400, 2000, 2200].map((atMs) => ({ atMs, inFlight: atMs / 100 }))),
  };
}
