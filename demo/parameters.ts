/**
 * Every figure of the demo, with where it is from. The servers and the requests are those of a chat service; only time is compressed.
 *
 * Sources:
 * - Splitwise (Patel et al., ISCA 2024): the Azure conversation trace has a median prompt of 1020 and a median answer of 129 tokens;
 *   Llama-2 70B on one 8 x A100 machine, conversation: about 155 ms to the first token, about 40 ms for each further one.
 * - The trace itself (Azure/AzurePublicDataset, LLM inference trace of 2023-11, conversation, 19,366 requests): mean prompt 1155,
 *   mean answer 211, longest prompt 14,050, longest answer 1000 tokens.
 * - "The Tail at Scale" (Dean and Barroso, CACM 2013): fleets have slow members, and members that turn slow for a while.
 */

export const SERVERS = 8;
/** Older hardware, or a noisy neighbour: there all along. */
export const SLOW_SERVERS: readonly number[] = [2, 5];
export const SLOW_FACTOR = 4;
/** Thermal throttling, or a failing link: comes and goes. */
export const DEGRADING_SERVER = 3;
export const DEGRADED_FACTOR = 6;
/** A crash, and a restart on the same port. */
export const DYING_SERVER = 6;

/** Shares of the run. */
export const DEGRADES_AT = 1 / 3;
export const RECOVERS_AT = 2 / 3;
export const DIES_AT = 1 / 2;
export const RETURNS_AT = 4 / 5;

/** Milliseconds on the hardware of the source; divided by the time scale. */
export const PREFILL_MS_PER_TOKEN = 155 / 1020;
export const DECODE_MS_PER_TOKEN = 40;
/** A client's patience: above the longest answer on a slow server (1000 tokens x 40 ms x 4 = 160 s) and some waiting. */
export const TIMEOUT_MS = 250_000;

/** Requests a server works on at once (its batch), and how many more may wait for a place; beyond that it answers 503. */
export const SLOTS = 8;
export const QUEUE_PLACES = 64;
/** Tokens per event of a streamed answer: servers under load send several at once. */
export const TOKENS_PER_EVENT = 16;

export const PROMPT_TOKENS: TokenDistribution = { median: 1020, mean: 1155, most: 14_050 };
export const OUTPUT_TOKENS: TokenDistribution = { median: 129, mean: 211, most: 1000 };
/** What applications ask for: the smallest of these that holds the answer. */
export const MAX_TOKENS_STEPS: readonly number[] = [256, 512, 1024];
/** Every third request, by chance. */
export const STREAMED_SHARE = 1 / 3;

/** A minute of the source in 1.2 s. */
export const TIME_SCALE = 50;
/** About 55 % of what the fleet can do when all are well: (6 + 2 / 4) servers x 8 slots / 175 ms = 297 requests a second. */
export const RATE = 160;
export const DURATION_S = 30;
export const SEED = 1;
export const QUICK = { timeScale: 100, rate: 320, durationS: 4 } as const;

/** How often a server tells how much it has in flight. */
export const SAMPLE_MS = 200;

/** A log-normal distribution given by what is published of it, cut at `most`. */
export interface TokenDistribution {
  readonly median: number;
  readonly mean: number;
  readonly most: number;
}

/** One run of the demo, the same for every contender. Times are those of the clock on the wall. */
export interface Scenario {
  readonly seed: number;
  /** Requests per second. */
  readonly rate: number;
  readonly durationMs: number;
  /** How many times faster than the source everything goes. */
  readonly timeScale: number;
  readonly timeoutMs: number;
  readonly server: ServerFigures;
}

export interface ServerFigures {
  readonly slots: number;
  readonly queuePlaces: number;
  readonly prefillMsPerToken: number;
  readonly decodeMsPerToken: number;
}

export function scenarioOf(options: { seed: number; rate: number; durationS: number; timeScale: number }): Scenario {
  const { seed, rate, durationS, timeScale } = options;
  return {
    seed,
    rate,
    durationMs: durationS * 1000,
    timeScale,
    timeoutMs: TIMEOUT_MS / timeScale,
    server: {
      slots: SLOTS,
      queuePlaces: QUEUE_PLACES,
      prefillMsPerToken: PREFILL_MS_PER_TOKEN / timeScale,
      decodeMsPerToken: DECODE_MS_PER_TOKEN / timeScale,
    },
  };
}

export type ServerRole = 'steady' | 'slow' | 'degrades' | 'dies';

export function roleOf(server: number): ServerRole {
  if (SLOW_SERVERS.includes(server)) return 'slow';
  if (server === DEGRADING_SERVER) return 'degrades';
  return server === DYING_SERVER ? 'dies' : 'steady';
}
