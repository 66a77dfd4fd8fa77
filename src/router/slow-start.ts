/**
 * Endpoints that join a running fleet get little at first and more as they warm up: caches, compilers, connections.
 * @see Envoy, slow start mode: 30 s windows and a tenth of the weight are its customary settings
 */
import { checkNumber, invalidArgument } from '../core/errors.js';

export interface SlowStartOptions {
  /** Milliseconds until an endpoint has its whole share; linear. Default 30,000. */
  readonly windowMs?: number;
  /** Its share at the start. Default 0.1; above 0, to 1. */
  readonly leastRatio?: number;
  /** A route that is called once, at the start, so that a connection is there before the first call. Default: none. */
  readonly warmUpPath?: string;
}

export interface ResolvedSlowStart {
  readonly windowMs: number;
  readonly leastRatio: number;
  readonly warmUpPath: string | undefined;
}

export const DEFAULT_SLOW_START_MS = 30_000;
export const DEFAULT_LEAST_RATIO = 0.1;

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function checkSlowStart(options: SlowStartOptions): ResolvedSlowStart {
  const { warmUpPath } = options;
  if (warmUpPath !== undefined && !(typeof warmUpPath === 'string' && warmUpPath.startsWith('/'))) {
    throw invalidArgument('slowStart.warmUpPath', warmUpPath, 'a path that begins with /');
  }
  return {
    windowMs: checkNumber('slowStart.windowMs', options.windowMs ?? DEFAULT_SLOW_START_MS, 1),
    leastRatio: checkNumber('slowStart.leastRatio', options.leastRatio ?? DEFAULT_LEAST_RATIO, 0.001, 1),
    warmUpPath,
  };
}
