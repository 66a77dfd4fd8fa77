/**
 * Load reports that are asked for.
 *
 * `background`: every endpoint, every `intervalMs`. For servers whose responses carry no report, or stream for seconds before one could
 * come. `before-dispatch`: two random endpoints are asked, and the call goes to the less loaded one. That costs a round trip and is
 * the freshest there is: worth it for requests of tens of milliseconds and more, which inference is.
 * @see Meta, "Taming the tail utilization of ads inference"; Prequal, NSDI'24
 */
import { checkInteger, checkNumber, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { fanOut } from '../../core/fan-out.js';
import type { LoadReport } from '../../core/load-report.js';
import type { Random } from '../../core/random.js';
import { TimerWheel } from '../../core/timer-wheel.js';
import type { Candidate } from '../candidate.js';
import { outstandingOf } from '../candidate.js';
import { parseLoadBody } from '../load-body.js';
import { LoadProber } from '../load-prober.js';
import { reportedLoad } from '../pickers/load.js';
import { probe } from '../probe.js';
import { ALWAYS_ON } from '../switches.js';
import type { LoadSource, LoadSourceEnvironment, LoadSourceSession } from './source.js';

export interface PollingOptions {
  mode: 'background' | 'before-dispatch';
  /** Route that answers with a report. Default `/load`. */
  path?: string;
  /** Background: milliseconds between polls of one endpoint, with a jitter of 10 %. Default 1000. */
  intervalMs?: number | undefined;
  /** Milliseconds to wait for an answer. Default 1000 in the background, 50 before a dispatch. */
  timeoutMs?: number | undefined;
  /** Before a dispatch: endpoints asked. Default 2; 1 to 8. */
  choices?: number;
  /** Reads the body. Default: an ORCA report in TEXT or JSON, vLLM's `{"server_load": n}` (`/load`), SGLang's `/v1/loads`. */
  parse?: (body: string) => LoadReport;
}

export const DEFAULT_POLL_PATH = '/load';
export const DEFAULT_POLL_INTERVAL_MS = 1000;
export const DEFAULT_POLL_TIMEOUT_MS = 1000;
export const DEFAULT_DISPATCH_POLL_TIMEOUT_MS = 50;
const POLLS_AT_ONCE = 32;
const DEFAULT_MAX_ANSWER_BYTES = 64 * 1024;
const EMPTY_PAUSE_MS = 100;

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function polling(options: PollingOptions): LoadSource {
  return pollingOf(`polling (${options.mode})`, options, DEFAULT_MAX_ANSWER_BYTES);
}

/** The same under another name, with answers of another length. */
export function pollingOf(name: string, options: PollingOptions, maxBytes: number): LoadSource {
  const { mode, path = DEFAULT_POLL_PATH, parse = parseLoadBody } = options;
  if (mode !== 'background' && mode !== 'before-dispatch')
    throw invalidArgument('mode', mode, "'background' or 'before-dispatch'");
  if (!path.startsWith('/')) throw invalidArgument('path', path, 'a path that begins with /');
  const isBackground = mode === 'background';
  const intervalMs = checkNumber('intervalMs', options.intervalMs ?? DEFAULT_POLL_INTERVAL_MS, 10);
  const timeoutMs = checkNumber(
    'timeoutMs',
    options.timeoutMs ?? (isBackground ? DEFAULT_POLL_TIMEOUT_MS : DEFAULT_DISPATCH_POLL_TIMEOUT_MS),
    1,
  );
  const choices = checkInteger('choices', options.choices ?? 2, 1, 8);
  return {
    name,
    start: (env) => {
      if (isBackground) return pollInBackground(env, new Poller(env, path, timeoutMs, parse, maxBytes), intervalMs);
      const { clock, diagnostics } = env.runtime;
      const wheel = new TimerWheel(clock, (error) => diagnostics.report('polling', error));
      const parts = { transport: env.transport, clock, wheel, isUsed: ALWAYS_ON, onReport: env.onReport, onBroken: env.onBroken };
      const prober = new LoadProber(parts, { path, timeoutMs, maxPerSecond: Number.MAX_SAFE_INTEGER, parse });
      return pollBeforeDispatch(env, prober, choices);
    },
  };
}

class Poller {
  readonly #env: LoadSourceEnvironment;
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #parse: (body: string) => LoadReport;
  readonly #maxBytes: number;
  readonly #stop = new AbortController();

  constructor(
    env: LoadSourceEnvironment,
    path: string,
    timeoutMs: number,
    parse: (body: string) => LoadReport,
    maxBytes: number,
  ) {
    this.#maxBytes = maxBytes;
    this.#env = env;
    this.#path = path;
    this.#timeoutMs = timeoutMs;
    this.#parse = parse;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  close(): void {
    this.#stop.abort();
  }

  /** Asks one endpoint; never rejects. */
  async ask(candidate: Candidate): Promise<LoadReport | undefined> {
    const { runtime, transport } = this.#env;
    try {
      const answer = await probe(
        transport,
        runtime.clock,
        candidate.endpoint,
        this.#path,
        this.#timeoutMs,
        this.signal,
        this.#maxBytes,
      );
      if (answer.status !== 200) {
        throw new EvenkeelError('unavailable', `${this.#path} of ${candidate.endpoint.id} answers ${answer.status}`);
      }
      const report = this.#parse(new TextDecoder().decode(answer.body));
      this.#env.onReport(candidate, report, runtime.clock.now());
      return report;
    } catch (error) {
      if (!this.signal.aborted) this.#env.onBroken(candidate, error);
      return undefined;
    }
  }
}

function pollInBackground(env: LoadSourceEnvironment, poller: Poller, intervalMs: number): LoadSourceSession {
  const { clock } = env.runtime;
  const run = async () => {
    while (!poller.signal.aborted) {
      const ask = async (candidate: Candidate) => {
        await poller.ask(candidate);
      };
      const members = [...env.members()];
      await fanOut(members, ask, { concurrency: POLLS_AT_ONCE, signal: poller.signal }).catch(() => {});
      // Before the first list there was nobody to ask: look again soon.
      const pauseMs = members.length === 0 ? Math.min(intervalMs, EMPTY_PAUSE_MS) : intervalMs * (0.9 + 0.2 * env.random.next());
      await clock.sleep(pauseMs, poller.signal).catch(() => {});
    }
  };
  void run();
  return { close: () => poller.close() };
}

function pollBeforeDispatch(env: LoadSourceEnvironment, prober: LoadProber, choices: number): LoadSourceSession {
  return {
    choose({ candidates }, request, done) {
      const asked = sample(candidates, env.random, choices);
      if (asked.length < 2) {
        done(asked[0]);
        return;
      }
      let awaited = asked.length;
      let best: Candidate | undefined;
      let leastLoad = Number.POSITIVE_INFINITY;
      for (const candidate of asked) {
        prober.ask(candidate, request.now, (isAnswered) => {
          // Who does not answer in time is no candidate, unless nobody does.
          const { report } = candidate;
          const { loadKey } = request;
          const metric = loadKey === undefined ? undefined : report?.namedMetrics?.[loadKey];
          const tells = isAnswered && report !== undefined && (metric ?? outstandingOf(report)) !== undefined;
          const load = tells ? reportedLoad(candidate, request) : Number.POSITIVE_INFINITY;
          if (load < leastLoad) {
            leastLoad = load;
            best = candidate;
          }
          if (--awaited === 0) done(best);
        });
      }
    },
    close: () => prober.close(),
  };
}

/** Distinct ones, in random order. */
function sample(candidates: readonly Candidate[], random: Random, count: number): Candidate[] {
  const indices = new Set<number>();
  while (indices.size < Math.min(count, candidates.length)) indices.add(random.int(candidates.length));
  return [...indices].map((index) => candidates[index] as Candidate);
}
