/** What load routes answer with: an ORCA report in TEXT or JSON, vLLM's `{"server_load": n}`, or SGLang's `{"loads": [...]}`. */
import { checkNumber, EvenkeelError } from '../core/errors.js';
import type { LoadReport } from '../core/load-report.js';
import { decodeLoadHeader } from '../core/orca/header.js';

/** @throws {EvenkeelError} `invalid-argument` for what is none of these; `unavailable` for a list of nobody, which means broken, not idle. */
export function parseLoadBody(body: string): LoadReport {
  const text = body.trim();
  if (text.startsWith('{') && text.includes('"server_load"')) {
    const { server_load: load } = JSON.parse(text) as { server_load?: unknown };
    return { namedMetrics: { host: checkNumber('server_load', load as number, 0) } };
  }
  if (text.startsWith('{') && text.includes('"loads"')) return parseRanks(JSON.parse(text) as { loads?: unknown });
  return decodeLoadHeader(text);
}

interface RankLoad {
  readonly num_running_reqs?: number;
  readonly num_waiting_reqs?: number;
  readonly token_usage?: number;
}

/** SGLang's `/v1/loads`: one entry for each data-parallel rank. Requests add up; the fullest cache counts. */
function parseRanks({ loads }: { loads?: unknown }): LoadReport {
  if (!Array.isArray(loads) || loads.length === 0) {
    throw new EvenkeelError('unavailable', 'the server lists no rank: it is broken, not idle', { retryable: 'yes' });
  }
  let running = 0;
  let waiting = 0;
  let cacheUse = 0;
  for (const rank of loads as RankLoad[]) {
    running += checkNumber('num_running_reqs', rank?.num_running_reqs ?? 0, 0);
    waiting += checkNumber('num_waiting_reqs', rank?.num_waiting_reqs ?? 0, 0);
    cacheUse = Math.max(cacheUse, checkNumber('token_usage', rank?.token_usage ?? 0, 0));
  }
  return {
    namedMetrics: { host: running + waiting, num_requests_waiting: waiting },
    utilization: { kv_cache: Math.min(1, cacheUse) },
  };
}
