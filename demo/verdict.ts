/** One sentence per peer: how evenkeel's p99 compares. It says so, too, when evenkeel does not win. */
import { formatCount, formatMs, formatRatio } from './format.js';
import type { ContenderResult } from './result.js';

export interface Comparison {
  readonly peer: string;
  /** The peer's p99 over evenkeel's: above 1 when evenkeel is faster. Undefined: one of them has no p99. */
  readonly ratio: number | undefined;
  /** The figures compared, evenkeel's first. */
  readonly figures: string;
  readonly sentence: string;
}

/** Below this a difference is noise. */
const CLEAR_RATIO = 1.05;

export function compare(results: readonly ContenderResult[], ours: string): Comparison[] {
  const own = results.find(({ name }) => name === ours);
  if (own === undefined) return [];
  return results.filter((result) => result !== own).map((peer) => comparePair(own, peer));
}

function comparePair(own: ContenderResult, peer: ContenderResult): Comparison {
  const failures = failuresOf(own, peer);
  if (own.p99Ms === null || peer.p99Ms === null || own.p99Ms === 0) {
    const sentence = `too few answers to compare p99 with ${peer.title}; ${failures}`;
    return { peer: peer.title, ratio: undefined, figures: failures, sentence };
  }
  const ratio = peer.p99Ms / own.p99Ms;
  const figures = `${formatMs(own.p99Ms)} against ${formatMs(peer.p99Ms)}; ${failures}`;
  return { peer: peer.title, ratio, figures, sentence: `p99 ${wordsOf(ratio)} ${peer.title} (${figures})` };
}

function wordsOf(ratio: number): string {
  if (ratio >= CLEAR_RATIO) return `${formatRatio(ratio)}x lower than`;
  if (ratio <= 1 / CLEAR_RATIO) return `${formatRatio(1 / ratio)}x higher than`;
  return 'as with';
}

function failuresOf(own: ContenderResult, peer: ContenderResult): string {
  const failed = ({ errors, timeouts }: ContenderResult) => formatCount(errors + timeouts);
  return `${failed(own)} against ${failed(peer)} failed`;
}
