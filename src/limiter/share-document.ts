/** What an instance tells of its part of a quota: the document `KEY/INSTANCE-HOLDER`, `{ v: 1, holder, seq, quota, demand, holds, starved }`. */
export interface ShareDocument {
  /** Drawn anew by each limiter: two of one name are two. */
  readonly holder: string;
  /** Of the writes of one holder. */
  readonly seq: number;
  /** The limit it was configured with. */
  readonly quota: number;
  /** What it could use, in units of the limit. */
  readonly demand: number;
  /** What it uses at most until it writes again. */
  readonly holds: number;
  /** Writes in a row with a demand and without a share. */
  readonly starved: number;
}

const MOST = Number.MAX_SAFE_INTEGER;

export function encodeShare(document: ShareDocument): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, ...document }));
}

/** Undefined for what is none of these. */
export function decodeShare(bytes: Uint8Array): ShareDocument | undefined {
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) ?? {};
  } catch {
    return undefined;
  }
  const { v, holder, seq, quota, demand, holds, starved } = parsed;
  if (v !== 1 || typeof holder !== 'string' || !isCount(seq) || !isCount(quota) || quota === 0) return undefined;
  if (!isAmount(demand) || !isCount(holds) || !isCount(starved)) return undefined;
  return { holder, seq, quota, demand, holds, starved };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MOST;
}
