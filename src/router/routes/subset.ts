/**
 * Which endpoints of a long list one router keeps connections to.
 *
 * Weighted rendezvous hashing: every router ranks all endpoints by a hash of its own name and theirs, weighted, and takes the first. An
 * endpoint that goes or comes moves no other in or out but the one it makes room for, and over many routers each endpoint is in as
 * many subsets as its weight says.
 * @see Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (rendezvous); ServiceRouter's stable subsets
 */
import { checkInteger } from '../../core/errors.js';
import type { Candidate } from '../candidate.js';

export interface SubsetOptions {
  /** Most endpoints of one ring that this router uses. Default 512; 12 and up: below that a subset is too small to balance. */
  readonly maxEndpoints?: number;
  /** Lists shorter than this are used whole. Default 24. */
  readonly minEndpoints?: number;
}

export const DEFAULT_SUBSET_ENDPOINTS = 512;
export const DEFAULT_SUBSET_FROM = 24;
const LEAST_ENDPOINTS = 12;

export interface ResolvedSubset {
  readonly maxEndpoints: number;
  readonly minEndpoints: number;
}

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function checkSubset(options: SubsetOptions = {}): ResolvedSubset {
  return {
    maxEndpoints: checkInteger('subset.maxEndpoints', options.maxEndpoints ?? DEFAULT_SUBSET_ENDPOINTS, LEAST_ENDPOINTS),
    minEndpoints: checkInteger('subset.minEndpoints', options.minEndpoints ?? DEFAULT_SUBSET_FROM, 2),
  };
}

/** At most `size` of them, in the order of the list. */
export function rendezvousSubset<T extends Pick<Candidate, 'endpoint' | 'weight'>>(
  candidates: readonly T[],
  client: string,
  size: number,
): readonly T[] {
  if (candidates.length <= size) return candidates;
  const seed = hash(client, 0);
  const ranked = candidates.map((candidate, index) => ({ index, rank: rankOf(candidate, seed) }));
  ranked.sort((a, b) => b.rank - a.rank || a.index - b.index);
  const chosen = ranked.slice(0, size).sort((a, b) => a.index - b.index);
  return chosen.map(({ index }) => candidates[index] as T);
}

/** -weight / ln(u), u uniform in (0, 1) by hash: the order is that of a draw in proportion to weight. */
function rankOf({ endpoint, weight }: Pick<Candidate, 'endpoint' | 'weight'>, seed: number): number {
  const uniform = (hash(endpoint.id, seed) + 0.5) / 2 ** 32;
  return -weight / Math.log(uniform);
}

/** FNV-1a, and `seed` mixed in behind it by murmur3's mixer: 32 bits. In front, it would cancel out with the first character. */
export function hash(text: string, seed: number): number {
  let bits = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193);
  return mixed(bits, seed);
}

/** 32 bits of which each depends on all of `bits` and of `seed`: murmur3's mixer. */
export function mixed(bits: number, seed: number): number {
  let mix = bits ^ Math.imul(seed + 1, 0x9e3779b1);
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}
