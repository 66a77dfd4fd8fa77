/** The service of L7, and who stands before it. */
export const SLOTS = 8;
export const SERVICE_MS = 100;
/** Answers a second, and no more. */
export const CAPACITY = (SLOTS * 1000) / SERVICE_MS;

export const CONTENDERS = ['unprotected', 'under-pressure', 'httpLimiter', 'fastifyLimiter'] as const;
export type Contender = (typeof CONTENDERS)[number];

/** What the client is told, as JSON. */
export interface SlotsPlan {
  readonly port: number;
  readonly seed: number;
  /** Per second. */
  readonly rate: number;
  /** Arrivals before these seconds are over are not counted, */
  readonly warmUpSeconds: number;
  /** and these are. */
  readonly seconds: number;
  readonly criticalShare: number;
  readonly timeoutMs: number;
}

/** Of the arrivals that count. */
export interface SlotsResult {
  readonly arrivals: number;
  /** Answered 200 in time, per second. */
  readonly goodput: number;
  readonly criticalGoodput: number;
  /** Milliseconds from when the arrival was due. */
  readonly p50: number;
  readonly criticalP99: number;
  readonly refused: number;
  readonly timedOut: number;
  readonly refusalP99: number;
}
