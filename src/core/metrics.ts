/** Every metric and attribute of the library, once. docs/metrics.md explains each; a test holds the two together. */

export type MetricKind = 'gauge' | 'counter' | 'updown' | 'histogram';

export interface MetricDefinition {
  readonly kind: MetricKind;
  /** UCUM. */
  readonly unit: string;
  readonly description: string;
  /** Of a histogram: upper bounds of its buckets. The exporters' own default is made for milliseconds. */
  readonly boundaries?: readonly number[];
}

export const METRICS = {
  'evenkeel.load.in_flight': { kind: 'updown', unit: '{work}', description: 'Pieces of work in flight, by key.' },
  'evenkeel.load.weight': { kind: 'updown', unit: '1', description: "Outstanding work in the counter's unit, by key." },
  'evenkeel.load.utilization': {
    kind: 'gauge',
    unit: '1',
    description: 'Weight over capacity, by key; absent while the capacity is unknown.',
  },
  'evenkeel.load.pressure': { kind: 'gauge', unit: '1', description: 'How full the process is, 0 to 1.' },
  'rpc.client.call.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'From router.call to the end of the response, attempts included.',
    // OpenTelemetry's semantic conventions for RPC durations, and longer: a generated answer streams for minutes.
    boundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120, 300],
  },
  'evenkeel.router.calls': { kind: 'counter', unit: '{call}', description: 'Calls ended, by outcome.' },
  'evenkeel.router.attempts': { kind: 'counter', unit: '{attempt}', description: 'Attempts sent to an endpoint.' },
  'evenkeel.router.retries': { kind: 'counter', unit: '{attempt}', description: 'Attempts beyond the first of their call.' },
  'evenkeel.router.retries.refused': {
    kind: 'counter',
    unit: '{attempt}',
    description: 'Retries not made because the budget was spent.',
  },
  'evenkeel.router.hedges': {
    kind: 'counter',
    unit: '{attempt}',
    description: 'Second attempts sent while the first was at work.',
  },
  'evenkeel.router.hedges.won': { kind: 'counter', unit: '{attempt}', description: 'Hedges that answered first.' },
  'evenkeel.router.hedges.refused': {
    kind: 'counter',
    unit: '{attempt}',
    description: 'Hedges not sent because a budget was spent or the servers were short.',
  },
  'evenkeel.router.wasted': {
    kind: 'counter',
    unit: 's',
    description: 'Time at servers of attempts that another attempt of their call has outrun.',
  },
  'evenkeel.router.queued': { kind: 'updown', unit: '{call}', description: 'Calls waiting for an endpoint below its limit.' },
  'evenkeel.router.endpoints': {
    kind: 'updown',
    unit: '{endpoint}',
    description: 'Endpoints known, by state: open, ejected, unhealthy, probation.',
  },
  'evenkeel.router.ejections': { kind: 'counter', unit: '{ejection}', description: 'Endpoints taken out for failing.' },
  'evenkeel.router.panics': {
    kind: 'counter',
    unit: '{event}',
    description: 'Times that too few endpoints were left and all were used.',
  },
  'evenkeel.router.reports.broken': { kind: 'counter', unit: '{report}', description: 'Load reports that did not parse.' },
  'evenkeel.router.reports.stale': {
    kind: 'counter',
    unit: '{pick}',
    description: 'Picks of endpoints whose last load report was too old to count.',
  },
  'evenkeel.router.table.age': { kind: 'gauge', unit: 's', description: 'Age of the endpoint list the router works with.' },
  'evenkeel.limiter.limit': { kind: 'gauge', unit: '1', description: "The limit in force, in the limiter's unit." },
  'evenkeel.limiter.queued': { kind: 'updown', unit: '{call}', description: 'Calls waiting for a permit.' },
  'evenkeel.limiter.level': {
    kind: 'gauge',
    unit: '1',
    description: 'Priorities admitted, 0 to 512 (4 criticalities times 128 cohorts); 512: everybody.',
  },
  'evenkeel.limiter.admitted': { kind: 'counter', unit: '{call}', description: 'Permits granted, by criticality.' },
  'evenkeel.limiter.refused': { kind: 'counter', unit: '{call}', description: 'Calls turned away, by reason and criticality.' },
  'evenkeel.limiter.leaked': { kind: 'counter', unit: '{permit}', description: 'Permits dropped without an end.' },
  'evenkeel.limiter.partition.weight': { kind: 'updown', unit: '1', description: 'Outstanding work of a limiter, by partition.' },
  'evenkeel.limiter.share': { kind: 'gauge', unit: '1', description: "This process's share of a quota." },
  'evenkeel.limiter.share.state': {
    kind: 'updown',
    unit: '{limiter}',
    description: 'Limiters that have a share of a quota, by state: starting, shared, kept, fallback.',
  },
  'evenkeel.limiter.wait.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'How long the calls waited that got their permit after a wait.',
    boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  'evenkeel.throttle.admitted': { kind: 'counter', unit: '{call}', description: 'Calls let through, by criticality.' },
  'evenkeel.throttle.refused': {
    kind: 'counter',
    unit: '{call}',
    description: 'Calls held back at their caller, by reason and criticality.',
  },
  'evenkeel.throttle.rejection': {
    kind: 'gauge',
    unit: '1',
    description: 'Chance with which the next call is held back, 0 to 1, by criticality.',
  },
  'evenkeel.throttle.level': {
    kind: 'gauge',
    unit: '1',
    description: 'Priorities the servers admit, 0 to 512, as last heard; 512: everybody.',
  },
  'evenkeel.throttle.pushback': {
    kind: 'gauge',
    unit: 's',
    description: 'Time left of what servers asked to be left alone for.',
  },
  'evenkeel.throttle.endpoints.held': {
    kind: 'updown',
    unit: '{endpoint}',
    description: 'Endpoints that asked to be left alone for now.',
  },
  'evenkeel.diagnostics.errors': {
    kind: 'counter',
    unit: '{error}',
    description: 'Errors nobody awaited: listeners that threw, failed polls.',
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

/** Attributes. Values are bounded: names given by the program, never by a request. */
export const ATTRIBUTES = {
  key: 'evenkeel.load.key',
  service: 'evenkeel.service',
  outcome: 'evenkeel.outcome',
  state: 'evenkeel.endpoint.state',
  endpoint: 'evenkeel.endpoint',
  attempts: 'evenkeel.attempts',
  reason: 'evenkeel.pick.reason',
  limiter: 'evenkeel.limiter',
  criticality: 'evenkeel.criticality',
  refusal: 'evenkeel.limiter.reason',
  partition: 'evenkeel.limiter.partition',
  shareState: 'evenkeel.share.state',
  throttle: 'evenkeel.throttle',
  throttleRefusal: 'evenkeel.throttle.reason',
  status: 'http.response.status_code',
  code: 'error.type',
} as const;
