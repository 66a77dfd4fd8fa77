/**
 * One of 128 groups that a user belongs to for an hour: under an overload the same few are served along the whole chain of calls, instead of
 * everybody now and then. Which ones changes with the hour, so that nobody is always last.
 * @see Zhou et al., "Overload Control for Scaling WeChat Microservices" (DAGOR), SoCC'18, section 4.2
 */
export const COHORTS = 128;
const ROTATION_MS = 3_600_000;

/**
 * 0 to 127: the lower, the later it is shed. Drawn where a chain of calls begins, and handed on in the context: services need not agree on
 * the time of day.
 * @param user - Whoever should be treated alike: a user, a tenant, a session.
 * @param wallTimeMs - `clock.wallTime()`.
 */
export function cohortOf(user: string, wallTimeMs: number): number {
  let hash = 0x811c9dc5 ^ Math.floor(wallTimeMs / ROTATION_MS);
  for (let i = 0; i < user.length; i++) hash = Math.imul(hash ^ user.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & (COHORTS - 1);
}

export function isCohort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < COHORTS;
}
