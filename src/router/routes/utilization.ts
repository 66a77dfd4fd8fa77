/** How much an endpoint is used, for the load of its ring and of its tier. */
import type { Candidate } from '../candidate.js';

/** One server that claims more must not empty its ring. */
const MAX_TOLD_USE = 2;

/** 0 and up; undefined: nobody knows. Errors are use, or a region that fails fast would look idle. */
export function utilizationOf(candidate: Candidate, now: number): number | undefined {
  const { report } = candidate;
  const failing = candidate.failureNow(now);
  const told = candidate.isStale(now) ? undefined : (report?.applicationUtilization ?? report?.cpuUtilization);
  if (told === undefined) return failing > 0 ? failing : undefined;
  const utilization = Math.min(MAX_TOLD_USE, told);
  return utilization + failing * Math.max(0, 1 - utilization);
}
