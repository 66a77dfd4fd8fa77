export type { BodyStream } from './body-stream.js';
export type { Candidate } from './candidate.js';
export { DEFAULT_PANIC_THRESHOLD } from './endpoint-table.js';
export type { RouterEvents } from './events.js';
export type { RouterFetch, RouterFetchInit } from './fetch.js';
export type { HealthOptions } from './health-checks.js';
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
  leastLoaded,
  type Picker,
  type PickerEnvironment,
  type PickerFactory,
  type PickRequest,
  type PickSet,
  type ProbePoolOptions,
  type Prober,
  type ProberOptions,
  p2c,
  peakEwma,
  probePool,
  random,
  roundRobin,
  weightedRoundRobin,
} from './pickers/index.js';
export { pickSet } from './pickers/pick-set.js';
export type { CallResponse } from './response.js';
export type { RetryOptions } from './retry-policy.js';
export { createRouter, type EndpointSnapshot, type Router, type RouterSnapshot } from './router.js';
export type { RouterRequest } from './router-request.js';
export {
  continentOf,
  DEFAULT_NEIGHBOUR_MS,
  type RingOptions,
  type Rtt,
  regionOf,
} from './rib/locality.js';
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
