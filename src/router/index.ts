export type { BodyStream } from './body-stream.js';
export type { Candidate } from './candidate.js';
export { DEFAULT_PANIC_THRESHOLD } from './endpoint-table.js';
export type { RouterEvents } from './events.js';
export type { RouterFetch, RouterFetchInit } from './fetch.js';
export type { HealthOptions } from './health-checks.js';
export { DEFAULT_MAX_EXTRA_LOAD, DEFAULT_MIN_HEDGE_DELAY_MS, type HedgeOptions } from './hedging.js';
export type { ComparedEndpoint, PickExplanation } from './last-picks.js';
export {
  createLatencyTax,
  DEFAULT_TAX_METHODS,
  DEFAULT_TAX_SAMPLE,
  type LatencyTax,
  type LatencyTaxOptions,
} from './latency-tax.js';
export {
  type BegunCall,
  createLoadReporter,
  DEFAULT_LOAD_ROUTE,
  type FetchHandler,
  type LoadReporter,
  type LoadReporterOptions,
  type NodeHandler,
  type ReportedCallHandler,
  type ServedCall,
} from './load-reporter.js';
export { type PollingOptions, polling } from './load-sources/polling.js';
export { type PrometheusOptions, parseEngineMetrics, prometheus } from './load-sources/prometheus.js';
export { responseHeader } from './load-sources/response-header.js';
export type { LoadSource, LoadSourceEnvironment, LoadSourceSession } from './load-sources/source.js';
export {
  DEFAULT_MAX_IN_FLIGHT,
  DEFAULT_MAX_QUEUED,
  DEFAULT_MAX_RESPONSE_BYTES,
  DEFAULT_TIMEOUT_MS,
  type RouterOptions,
} from './options.js';
export type { EjectionOptions } from './outlier-ejection.js';
export type { Pick } from './picked-work.js';
export {
  auto,
  type CounterBlend,
  type CounterBlendOptions,
  type CounterName,
  createCounterBlend,
  leastLoaded,
  type Picker,
  type PickerEnvironment,
  type PickerFactory,
  type PickRequest,
  type PickSet,
  type PrefixAffinityOptions,
  type ProbePoolOptions,
  type Prober,
  type ProberOptions,
  p2c,
  peakEwma,
  prefixAffinity,
  probePool,
  type RingHashOptions,
  random,
  ringHash,
  roundRobin,
  weightedRoundRobin,
} from './pickers/index.js';
export { pickSet } from './pickers/pick-set.js';
export type { CallResponse } from './response.js';
export type { RetryOptions } from './retry-policy.js';
export { DEFAULT_DEMAND_LEASE_MS, type Demand, type ReportDemandOptions, reportDemand } from './rib/demand.js';
export {
  continentOf,
  DEFAULT_NEIGHBOUR_MS,
  type RingOptions,
  type Rtt,
  regionOf,
} from './rib/locality.js';
export {
  createRibBuilder,
  DEFAULT_PROBE_RATIO,
  DEFAULT_RIB_LOAD_INTERVAL_MS,
  DEFAULT_RIB_MIN_INTERVAL_MS,
  type RibBuilder,
  type RibBuilderEvents,
  type RibBuilderOptions,
  type RibBuilderSnapshot,
  type ServiceRouting,
} from './rib/rib-builder.js';
export { DEFAULT_RIB_LEADER_KEY } from './rib/rib-keys.js';
export {
  DEFAULT_MAX_PLAN_AGE_MS,
  DEFAULT_MAX_TABLE_AGE_MS,
  type RibResolution,
  type RibResolver,
  type RibResolverOptions,
  type RoutingListener,
  ribResolver,
} from './rib/rib-resolver.js';
export type { RingMember } from './rib/ring-groups.js';
export type { RingSet } from './rib/ring-shares.js';
export { RING_SETTLE_MS, RingSelector, type RingSelectorOptions } from './rib/rings.js';
export {
  type ClientLocality,
  type ClientPlan,
  DEFAULT_RETURN_STEP,
  DEFAULT_SPILL_HYSTERESIS,
  DEFAULT_SPILL_THRESHOLD,
  type PlanInput,
  type PlannedRing,
  planRoutingTable,
  type RoutingPlan,
  type ServerLocality,
} from './rib/routing-plan.js';
export { endpointOf, type LocalityLoad, type Routing, type RoutingTable } from './rib/routing-table.js';
export { DEFAULT_RTT_INTERVAL_MS, DEFAULT_RTT_TIMEOUT_MS, type MeasureRttOptions, measureRtt } from './rib/rtt.js';
export {
  decodeShardMap,
  encodeShardMap,
  newerShardMap,
  primaryOf,
  replicasOf,
  type ShardMap,
  type ShardReplica,
  type ShardRole,
  shardMapKey,
} from './rib/shard-map.js';
export {
  DEFAULT_MAX_RINGS,
  DEFAULT_MIN_RATIO,
  parseRtts,
  type SuggestedRings,
  type SuggestRingsOptions,
  suggestRings,
} from './rib/suggest-rings.js';
export { createRouter, type EndpointSnapshot, type Router, type RouterSnapshot } from './router.js';
export type { RouterRequest } from './router-request.js';
export { DEFAULT_SUBSET_ENDPOINTS, DEFAULT_SUBSET_FROM, type SubsetOptions } from './routes/subset.js';
export { TierBalance, type TierBalanceOptions, type TierSample } from './routes/tier-balance.js';
export { createTierSplit, DEFAULT_TIER_PERIOD_MS, type TierSplit, type TierSplitOptions } from './routes/tier-split.js';
export {
  createTrafficSplit,
  DEFAULT_SPLIT_PER_SECOND,
  type RouteSplit,
  type TrafficSplit,
  type TrafficSplitOptions,
} from './routes/traffic-split.js';
export { requestedShard, WRONG_SHARD_STATUS, wrongShardAnswer } from './routes/wrong-shard.js';
export { DEFAULT_LEAST_RATIO, DEFAULT_SLOW_START_MS, type SlowStartOptions } from './slow-start.js';
export type { RouterSwitches } from './switches.js';
export type { Percentiles } from './tax-histogram.js';
export type { TaxPart } from './tax-parts.js';
export type { OutcomeTax, TaxReport, WastedWork } from './tax-report.js';
export type { TaxRow } from './tax-rows.js';
