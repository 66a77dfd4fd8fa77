/** Load reports that ride on responses: no request of their own, as fresh as the last answer of that endpoint. */
import { checkNumber } from '../../core/errors.js';
import { readLoadHeaders } from '../../core/orca/header.js';
import type { LoadSource } from './source.js';

/** Reading one costs a microsecond or two; more often than this it tells nothing new. */
export const DEFAULT_MIN_INTERVAL_MS = 1;

/**
 * ORCA reports in response headers or trailers, every variant of them.
 * @param options.minIntervalMs - At most one report per endpoint is read within it. Default 1 ms.
 */
export function responseHeader(options: { minIntervalMs?: number } = {}): LoadSource {
  const minIntervalMs = checkNumber('minIntervalMs', options.minIntervalMs ?? DEFAULT_MIN_INTERVAL_MS, 0);
  return {
    name: 'response-header',
    start: ({ onReport }) => ({
      onHeaders(candidate, headers, now) {
        if (now - candidate.reportAtMs < minIntervalMs && candidate.report !== undefined) return;
        const report = readLoadHeaders(headers);
        if (report !== undefined) onReport(candidate, report, now);
      },
      close() {},
    }),
  };
}
