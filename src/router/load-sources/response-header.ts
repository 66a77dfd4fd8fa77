/** Load reports that ride on responses: no request of their own, as fresh as the last answer of that endpoint. */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { HEADERS } from '../../core/headers.js';
import { readLoadHeaders } from '../../core/orca/header.js';
import type { LoadSource } from './source.js';

/** Reading one costs a microsecond or two; more often than this it tells nothing new. */
export const DEFAULT_MIN_INTERVAL_MS = 1;

/**
 * ORCA reports in response headers or trailers, every variant of them.
 * @param options.minIntervalMs - At most one report per endpoint is read within it. Default 1 ms.
 * @param options.ask - Asks for one with every call, in this format: vLLM and Triton tell only who asks. Default: nobody is asked.
 */
export function responseHeader(options: { minIntervalMs?: number; ask?: 'text' | 'json' } = {}): LoadSource {
  const { ask } = options;
  if (ask !== undefined && ask !== 'text' && ask !== 'json') throw invalidArgument('ask', ask, "'text' or 'json'");
  const minIntervalMs = checkNumber('minIntervalMs', options.minIntervalMs ?? DEFAULT_MIN_INTERVAL_MS, 0);
  return {
    name: 'response-header',
    start: ({ onReport }) => ({
      requestHeaders: ask === undefined ? [] : [HEADERS.loadFormat.text, ask],
      onHeaders(candidate, headers, now, loadKey) {
        if (now - candidate.reportAtMs < minIntervalMs && candidate.report !== undefined) return;
        const report = readLoadHeaders(headers);
        if (report !== undefined) onReport(candidate, report, now, loadKey);
      },
      close() {},
    }),
  };
}
