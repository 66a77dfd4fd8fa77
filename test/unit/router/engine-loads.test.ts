/**
 * What inference engines say of their load. The texts have the shape of the engines' own answers (vLLM 0.11 and older, SGLang 0.4 and
 * newer): names, labels and order as they write them, values of our own.
 */
import { describe, expect, it } from 'vitest';
import { parseEngineMetrics, prometheus } from '../../../src/router/index.js';
import { parseLoadBody } from '../../../src/router/load-body.js';
import { assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

const VLLM = `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 12.0
vllm:num_requests_running{engine="1",model_name="meta-llama/Llama-3.1-8B-Instruct"} 9.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 3.0
vllm:num_requests_waiting{engine="1",model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.4375
vllm:kv_cache_usage_perc{engine="1",model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.8125
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 4711.0
`;

const OLDER_VLLM = `vllm:num_requests_running{model_name="facebook/opt-125m"} 1
vllm:num_requests_waiting{model_name="facebook/opt-125m"} 2 1712345678901
vllm:gpu_cache_usage_perc{model_name="facebook/opt-125m"} 0.25`;

const SGLANG = `# HELP sglang:num_running_reqs The number of running requests.
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{engine_type="unified",model_name="deepseek-r1",pid="910",pp_rank="0",tp_rank="0"} 7.0
# HELP sglang:num_queue_reqs The number of requests in the waiting queue.
# TYPE sglang:num_queue_reqs gauge
sglang:num_queue_reqs{engine_type="unified",model_name="deepseek-r1",pid="910",pp_rank="0",tp_rank="0"} 5.0
# HELP sglang:token_usage The token usage.
# TYPE sglang:token_usage gauge
sglang:token_usage{engine_type="unified",model_name="deepseek-r1",pid="910",pp_rank="0",tp_rank="0"} 0.61
`;

const SGLANG_LOADS = {
  timestamp: '2026-01-12T10:30:00.123456+00:00',
  version: '0.5.7',
  accelerator: 'NVIDIA H100 80GB HBM3',
  num_accelerators: 1,
  loads: [
    {
      dp_rank: 0,
      num_running_reqs: 5,
      num_waiting_reqs: 2,
      num_used_tokens: 8000,
      max_total_num_tokens: 20000,
      token_usage: 0.4,
    },
    {
      dp_rank: 1,
      num_running_reqs: 3,
      num_waiting_reqs: 0,
      num_used_tokens: 15000,
      max_total_num_tokens: 20000,
      token_usage: 0.75,
    },
  ],
};

describe('the metrics page', () => {
  it('of vLLM tells requests over all engines, by model, and the fullest cache', () => {
    expect(parseEngineMetrics(VLLM)).toEqual({
      namedMetrics: { host: 24, num_requests_waiting: 3, 'model:meta-llama/Llama-3.1-8B-Instruct': 24 },
      utilization: { kv_cache: 0.8125 },
    });
  });

  it('of an older vLLM is read by its older names, time stamps and all', () => {
    expect(parseEngineMetrics(OLDER_VLLM)).toEqual({
      namedMetrics: { host: 3, num_requests_waiting: 2, 'model:facebook/opt-125m': 3 },
      utilization: { kv_cache: 0.25 },
    });
  });

  it('of SGLang tells the same', () => {
    expect(parseEngineMetrics(SGLANG)).toEqual({
      namedMetrics: { host: 12, num_requests_waiting: 5, 'model:deepseek-r1': 12 },
      utilization: { kv_cache: 0.61 },
    });
    expect(parseEngineMetrics('sglang_num_running_reqs{dp_rank="0"} 4\nsglang_num_waiting_reqs{dp_rank="0"} 1\n')).toEqual({
      namedMetrics: { host: 5, num_requests_waiting: 1 },
    });
  });

  it.each(['', '# nothing\n', 'http_requests_total 4\n', 'vllm:num_requests_running{} NaN', 'vllm:num_requests_running{} -1'])(
    'without a usable gauge is an error, not an idle server: %j',
    (page) => {
      expect(() => parseEngineMetrics(page)).toThrow(/no gauge/);
    },
  );
});

describe('the load route', () => {
  it('of vLLM tells its requests', () => {
    expect(parseLoadBody('{"server_load": 17}')).toEqual({ namedMetrics: { host: 17 } });
  });

  it('of SGLang tells those of all ranks', () => {
    expect(parseLoadBody(JSON.stringify(SGLANG_LOADS))).toEqual({
      namedMetrics: { host: 10, num_requests_waiting: 2 },
      utilization: { kv_cache: 0.75 },
    });
  });

  it('of SGLang with an empty list is an error, not an idle server', () => {
    expect(() => parseLoadBody('{"loads": []}')).toThrow(/broken/);
  });

  it.each([
    ['a negative number', '{"server_load": -1}'],
    ['a word', '{"server_load": "many"}'],
    ['a negative rank', '{"loads": [{"num_running_reqs": -3}]}'],
  ])('with %s is refused', (_what, body) => {
    expect(() => parseLoadBody(body)).toThrow();
  });
});

describe('prometheus', () => {
  it('polls the page and reads pages longer than a load report may be', async () => {
    const rig = routerRig({ endpoints: 2, loadSources: [prometheus({ intervalMs: 1000 })] });
    const filler = '# a histogram of no interest\n'.repeat(10_000);
    rig.transport.onCall = (call) => call.answer(200, filler + VLLM);
    await rig.clock.advance(150);
    expect(rig.transport.calls.every(({ request }) => request.path === '/metrics')).toBe(true);
    expect(rig.runtime.load.remote('a')?.report.namedMetrics?.host).toBe(24);
    watch(rig.router.call({ path: '/x' }));
    await rig.clock.settle();
    expect(rig.router.snapshot().picks[0]?.reportSource).toBe('prometheus');
    await assertClosesClean(rig);
  });
});
