/** A number from a text, the same in every process: who takes part in a canary, an arm, a percentage, and when whoever eases lets go. */

/** FNV-1a, stirred: below 2^32. */
export function hashOf(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** The hash of one thing for another purpose: shares drawn from both have nothing to do with each other. */
export function mix(hash: number, salt = 0): number {
  let mixed = Math.imul(hash ^ salt ^ ((hash ^ salt) >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** As a share, 0 to below 1. */
export function shareOf(hash: number): number {
  return hash / 2 ** 32;
}
