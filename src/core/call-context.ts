/**
 * What a call carries besides its payload: until when, how important, and whether its caller still wants it. Passed explicitly,
 * first; see ambient-context.ts for the implicit form and why it is off until asked for.
 */

/**
 * How much it hurts when the call is turned away, most first (Google SRE, "Handling Overload"):
 * `critical-plus` visible outage · `critical` the default, user-visible · `sheddable-plus` partial unavailability expected, retried
 * later (batch) · `sheddable` frequent unavailability expected.
 */
export type Criticality = 'critical-plus' | 'critical' | 'sheddable-plus' | 'sheddable';

/** Most important first; the index is the rank. */
export const CRITICALITIES: readonly Criticality[] = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'];
export const DEFAULT_CRITICALITY: Criticality = 'critical';

export interface CallContext {
  /** Absolute, on this process's `Clock.now()`. */
  readonly deadline?: number;
  readonly criticality: Criticality;
  readonly signal?: AbortSignal;
  /** 0 to 127, see `cohortOf`: who is shed first among equally critical calls, the same ones along the whole chain. */
  readonly cohort?: number;
  /** Travels with the context inside the process only. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Where the call stands among those that caused it, and how many it causes; kept while its caller wants to know. */
  readonly trail?: CallTrail;
}

export interface CallTrail {
  /** Callers before this call: 1 when the first of them made it. */
  readonly depth: number;
  /** Calls made for this one so far, and those made for them. */
  descendants: number;
}

export function isCriticality(value: unknown): value is Criticality {
  return (CRITICALITIES as readonly unknown[]).includes(value);
}

/** The less important of the two. */
export function capCriticality(value: Criticality, most: Criticality): Criticality {
  return CRITICALITIES.indexOf(value) < CRITICALITIES.indexOf(most) ? most : value;
}
