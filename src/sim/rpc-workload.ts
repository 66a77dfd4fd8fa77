/**
 * Calls as they are in a large fleet: few methods make most of the calls, the slow ones are rare and make most of the time, most messages
 * are small and some are huge, and calls go wide rather than deep.
 *
 * Every figure is from a characterisation of Google's RPCs; what lies between two published quantiles is log-normal, and beyond the last
 * but one Pareto.
 * @see Seemakhupt et al., "A Cloud-Scale Characterization of Remote Procedure Calls", SOSP'23, sections 2 and 3
 */
import { checkInteger } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { type Distribution, logNormal, weighted } from './distributions.js';

/** Share of all calls: of the first method, of the first 10, of the first 100. */
export const RPC_POPULARITY = { first: 0.28, ten: 0.58, hundred: 0.91 } as const;
/** Bytes. */
export const RPC_REQUEST_BYTES = { least: 64, median: 1530, p90: 11_800, p99: 196_000 } as const;
export const RPC_RESPONSE_BYTES = { least: 64, median: 315, p90: 10_000, p99: 563_000 } as const;
/** Calls that one call leads to, all of them. */
export const RPC_DESCENDANTS = { median: 13, p90: 105 } as const;
/** Milliseconds: a tenth of the methods have a median below the first, half a 99th percentile above the second. */
export const RPC_METHOD_MEDIAN_MS = { p10: 10.7 } as const;
export const RPC_METHOD_P99_MS = { median: 225 } as const;
/** Share of the calls that fail. */
export const RPC_ERROR_SHARE = 0.019;

const NORMAL_P90 = 1.2815515655446004;
const NORMAL_P99 = 2.3263478740408408;
/** Median of the methods' medians: an assumption, for it is not published. */
const MEDIAN_OF_MEDIANS_MS = 40;
const LARGEST_BYTES = 64 * 1024 * 1024;
const MOST_DESCENDANTS = 10_000;

export interface RpcMethod {
  /** From 0, the most popular first. */
  readonly rank: number;
  /** Share of all calls. */
  readonly share: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

/** One call drawn. */
export interface RpcCall {
  readonly method: RpcMethod;
  /** Time of its own work. */
  readonly workMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly descendants: number;
  readonly fails: boolean;
}

export interface RpcWorkload {
  readonly methods: readonly RpcMethod[];
  next(random: Random): RpcCall;
}

/**
 * @param random - Draws the methods; calls are drawn from the stream that `next` is given.
 * @param options.methods - How many. Default 10,000; 200 and up.
 */
export function rpcWorkload(random: Random, options: { methods?: number } = {}): RpcWorkload {
  const count = checkInteger('methods', options.methods ?? 10_000, 200, 1_000_000);
  const shares = popularity(count);
  const medians = drawMedians(count, random);
  const p99Of = logNormalBy(RPC_METHOD_P99_MS.median, 1);
  const methods = shares.map((share, rank): RpcMethod => {
    const medianMs = medians[rank] as number;
    return { rank, share, medianMs, p99Ms: Math.max(2 * medianMs, p99Of(random)) };
  });
  const pick = weighted(shares);
  const requestBytes = sizes(RPC_REQUEST_BYTES);
  const responseBytes = sizes(RPC_RESPONSE_BYTES);
  const descendants = logNormalBy(RPC_DESCENDANTS.median, Math.log(RPC_DESCENDANTS.p90 / RPC_DESCENDANTS.median) / NORMAL_P90);
  return {
    methods,
    next(stream) {
      const method = methods[pick(stream)] as RpcMethod;
      const sigma = Math.log(method.p99Ms / method.medianMs) / NORMAL_P99;
      return {
        method,
        workMs: logNormalBy(method.medianMs, sigma)(stream),
        requestBytes: requestBytes(stream),
        responseBytes: responseBytes(stream),
        descendants: Math.min(MOST_DESCENDANTS, Math.round(descendants(stream))),
        fails: stream.next() < RPC_ERROR_SHARE,
      };
    },
  };
}

/** The first as published, and within each published group by 1 / rank. */
function popularity(count: number): number[] {
  const { first, ten, hundred } = RPC_POPULARITY;
  const groups: readonly [from: number, to: number, share: number][] = [
    [0, 1, first],
    [1, 10, ten - first],
    [10, 100, hundred - ten],
    [100, count, 1 - hundred],
  ];
  return groups.flatMap(([from, to, share]) => {
    const weights = Array.from({ length: to - from }, (_, i) => 1 / (from + i + 1));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => (share * weight) / sum);
  });
}

/** Popular methods are the fast ones, on the whole: the slowest tenth makes 1 % of the calls. */
function drawMedians(count: number, random: Random): number[] {
  const spread = Math.log(MEDIAN_OF_MEDIANS_MS / RPC_METHOD_MEDIAN_MS.p10) / NORMAL_P90;
  const draw = logNormalBy(MEDIAN_OF_MEDIANS_MS, spread);
  const medians = Array.from({ length: count }, () => draw(random)).sort((a, b) => a - b);
  // In order but for neighbours: a window slides over the sorted list.
  return medians.map((_, rank) => {
    const width = Math.max(1, count >> 3);
    const from = Math.max(0, Math.min(count - width, rank - (width >> 1)));
    return medians[from + random.int(width)] as number;
  });
}

function logNormalBy(median: number, sigma: number): Distribution {
  return logNormal(median * Math.exp((sigma * sigma) / 2), sigma);
}

/** Log-normal up to the 90th percentile, Pareto through the 99th beyond it. */
function sizes({ least, median, p90, p99 }: typeof RPC_REQUEST_BYTES | typeof RPC_RESPONSE_BYTES): Distribution {
  const body = logNormalBy(median, Math.log(p90 / median) / NORMAL_P90);
  const alpha = Math.log(10) / Math.log(p99 / p90);
  return (random) => {
    const value = body(random);
    const tail = p90 / (1 - random.next()) ** (1 / alpha);
    return Math.round(Math.min(LARGEST_BYTES, Math.max(least, value < p90 ? value : tail)));
  };
}
