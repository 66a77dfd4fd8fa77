/**
 * Load from the metrics page of an inference engine, polled in the background: vLLM's and SGLang's `/metrics`.
 *
 * Such gauges trail what is dispatched by seconds, so they correct what the router counts itself and never stand for it. Prefer `/load` of
 * vLLM (`--enable-server-load-tracking`) and `/v1/loads` of SGLang, which `polling` reads: they are of the moment, and short.
 * @see vllm-project/vllm issue 49538: gauges 3 to 6 s behind
 */
import { EvenkeelError } from '../../core/errors.js';
import { modelKey } from '../../core/load-board.js';
import type { LoadReport } from '../../core/load-report.js';
import { pollingOf } from './polling.js';
import type { LoadSource } from './source.js';

export interface PrometheusOptions {
  /** Default `/metrics`. */
  readonly path?: string;
  /** Milliseconds between two readings of one endpoint, with a jitter of 10 %. Default 1000. */
  readonly intervalMs?: number;
  /** Milliseconds to wait for an answer. Default 1000. */
  readonly timeoutMs?: number;
  /** Reads the page. Default: the gauges of vLLM and SGLang, whichever are there. */
  readonly parse?: (page: string) => LoadReport;
}

const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function prometheus(options: PrometheusOptions = {}): LoadSource {
  const { path = '/metrics', intervalMs, timeoutMs, parse = parseEngineMetrics } = options;
  return pollingOf('prometheus', { mode: 'background', path, intervalMs, timeoutMs, parse }, MAX_PAGE_BYTES);
}

/** Names of gauges by what they tell. SGLang's stand with a colon in its own pages and with an underscore in `/v1/loads?format=prometheus`. */
const RUNNING = new Set(['vllm:num_requests_running', 'sglang:num_running_reqs', 'sglang_num_running_reqs']);
const WAITING = new Set([
  'vllm:num_requests_waiting',
  'sglang:num_queue_reqs',
  'sglang_num_queue_reqs',
  'sglang_num_waiting_reqs',
]);
const CACHE_USE = new Set(['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc', 'sglang:token_usage', 'sglang_token_usage']);
const MAX_MODELS = 64;

/**
 * Requests running and waiting, summed over ranks and by model, and the fullest KV cache.
 * @throws {EvenkeelError} `not-found` when none of the gauges is there: a page without them says nothing, least of all "idle".
 */
export function parseEngineMetrics(page: string): LoadReport {
  let running: number | undefined;
  let waiting = 0;
  let cacheUse: number | undefined;
  const byModel = new Map<string, number>();
  for (let start = 0; start < page.length; ) {
    let end = page.indexOf('\n', start);
    if (end < 0) end = page.length;
    const line = page.slice(start, end);
    start = end + 1;
    const name = nameOf(line);
    const isRunning = RUNNING.has(name);
    const isWaiting = WAITING.has(name);
    if (!isRunning && !isWaiting && !CACHE_USE.has(name)) continue;
    const value = readingOf(line);
    if (value === undefined) continue;
    if (!isRunning && !isWaiting) {
      cacheUse = Math.max(cacheUse ?? 0, Math.min(1, value));
      continue;
    }
    if (isRunning) running = (running ?? 0) + value;
    if (isWaiting) waiting += value;
    const model = /[{,]model_name="([^"\\]*)"/.exec(line)?.[1];
    if (model !== undefined && (byModel.has(model) || byModel.size < MAX_MODELS)) {
      byModel.set(model, (byModel.get(model) ?? 0) + value);
    }
  }
  if (running === undefined) {
    throw new EvenkeelError('not-found', 'the page has no gauge of running requests of vLLM or SGLang', { retryable: 'no' });
  }
  const namedMetrics: Record<string, number> = { host: running + waiting, num_requests_waiting: waiting };
  for (const [model, count] of byModel) namedMetrics[modelKey(model)] = count;
  return { namedMetrics, ...(cacheUse === undefined ? undefined : { utilization: { kv_cache: cacheUse } }) };
}

function nameOf(line: string): string {
  const end = line.search(/[{ ]/);
  return end < 0 ? line : line.slice(0, end);
}

/** Behind the labels; a time stamp may follow. Undefined for what is no number, or below 0. */
function readingOf(line: string): number | undefined {
  const labels = line.lastIndexOf('}');
  const text = (labels < 0 ? line.slice(line.indexOf(' ')) : line.slice(labels + 1)).trim().split(' ', 1)[0];
  const value = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
