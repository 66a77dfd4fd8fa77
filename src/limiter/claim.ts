/** What a caller says of its call, and what of it counts. */
import { type CallContext, CRITICALITIES, type Criticality, DEFAULT_CRITICALITY } from '../core/call-context.js';
import { isCohort } from '../core/cohort.js';
import { checkNumber, invalidArgument } from '../core/errors.js';
import type { Partitions } from './partitions.js';
import type { Claim } from './waiter.js';

/** All optional; what is not told of deadline, criticality, cohort and signal is that of the ambient context. A {@link CallContext} is one: `limiter.run(work, context)`. */
export interface AcquireOptions {
  /** In the limiter's unit. Default 1; above 0, to {@link MAX_WEIGHT}. One that exceeds the limit runs alone. */
  weight?: number;
  /** Default `critical`. */
  criticality?: Criticality;
  /** On this process's `Clock.now()`. A call with less left than one takes is refused. Default: none. */
  deadline?: number;
  /** Takes the call out of the queue. */
  signal?: AbortSignal;
  /** Whose share it runs on. Unknown ones live on what the others leave. */
  partition?: string;
  /** 0 to 127, see `cohortOf`: who is shed first among equally critical calls. Default: by chance. */
  cohort?: number;
}

/** Sums of weights have to come out even: beyond some 10^15 the units are lost, and of two that are too large nothing is left. */
export const MAX_WEIGHT = 1e12;

const NO_OPTIONS: AcquireOptions = Object.freeze({});
const DEFAULT_RANK = CRITICALITIES.indexOf(DEFAULT_CRITICALITY);

/**
 * Fills `claim` in place: one is enough for all calls that do not wait.
 * @param ambient - Says what `options` do not.
 */
export function readClaim(
  claim: Claim,
  options: AcquireOptions | CallContext | undefined,
  ambient: CallContext | undefined,
  partitions: Partitions,
): Claim {
  claim.weight = 1;
  claim.rank = DEFAULT_RANK;
  claim.cohort = undefined;
  claim.partition = 0;
  claim.deadline = Number.POSITIVE_INFINITY;
  const { weight, partition } = (options ?? NO_OPTIONS) as AcquireOptions;
  const criticality = options?.criticality ?? ambient?.criticality;
  const deadline = options?.deadline ?? ambient?.deadline;
  const cohort = options?.cohort ?? ambient?.cohort;
  if (weight !== undefined) claim.weight = checkWeight(weight);
  if (criticality !== undefined) claim.rank = rankOf(criticality);
  if (deadline !== undefined) claim.deadline = checkDeadline(deadline);
  if (partition !== undefined) claim.partition = partitions.indexOf(partition);
  if (cohort !== undefined) {
    if (!isCohort(cohort)) throw invalidArgument('cohort', cohort, 'a whole number from 0 to 127');
    claim.cohort = cohort;
  }
  return claim;
}

/** @throws {EvenkeelError} `invalid-argument`. */
export function checkWeight(weight: number): number {
  return checkNumber('weight', weight, Number.MIN_VALUE, MAX_WEIGHT);
}

export function emptyClaim(): Claim {
  return { weight: 1, rank: DEFAULT_RANK, cohort: undefined, partition: 0, deadline: Number.POSITIVE_INFINITY };
}

/** Of a call that came with this context, of weight 1 and no partition. */
export function claimOfContext({ cohort, criticality, deadline }: CallContext): Claim {
  return { ...emptyClaim(), rank: rankOf(criticality), cohort, deadline: deadline ?? Number.POSITIVE_INFINITY };
}

export function rankOf(criticality: Criticality): number {
  const rank = CRITICALITIES.indexOf(criticality);
  if (rank < 0) throw invalidArgument('criticality', criticality, `one of ${CRITICALITIES.join(', ')}`);
  return rank;
}

function checkDeadline(deadline: number): number {
  if (typeof deadline !== 'number' || Number.isNaN(deadline))
    throw invalidArgument('deadline', deadline, 'a number, on Clock.now()');
  return deadline;
}
