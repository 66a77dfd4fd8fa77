export {
  type Announcement,
  type AnnounceOptions,
  announce,
  DEFAULT_ANNOUNCE_LEASE_MS,
  DEFAULT_LAME_DUCK_MS,
} from './announce.js';
export {
  type CallContext,
  type CallTrail,
  CRITICALITIES,
  type Criticality,
  capCriticality,
  DEFAULT_CRITICALITY,
  isCriticality,
} from './call-context.js';
export {
  type Campaign,
  type CampaignEvents,
  type CampaignOptions,
  campaign,
  DEFAULT_CAMPAIGN_LEASE_MS,
  leaderOf,
  type Term,
} from './campaign.js';
export { type Clock, deadlineSignal, liveClock, type Timer } from './clock.js';
export { COHORTS, cohortOf } from './cohort.js';
export {
  DEFAULT_MAX_TIMEOUT_MS,
  DEFAULT_UNTRUSTED_CRITICALITY,
  parseGrpcTimeout,
  type ReadContextOptions,
  readContextHeaders,
  writeContextHeaders,
} from './context-headers.js';
export type { Diagnostics } from './diagnostics.js';
export { type Endpoint, type EndpointLike, MAX_ENDPOINTS, parseEndpoint, parseEndpoints } from './endpoint.js';
export {
  ERROR_CODES,
  type ErrorCode,
  EvenkeelError,
  type EvenkeelErrorOptions,
  isEvenkeelError,
  type Retryable,
} from './errors.js';
export type { EventMap, Events } from './events.js';
export type { FeatureSwitch } from './feature-switch.js';
export { type FencedDocument, type FencedValue, getFenced, putFenced } from './fenced-document.js';
export { HEADERS, type HeaderList, type HeaderName, headerEntries, headerName, headerValue } from './headers.js';
export { type DnsRecord, type Host, liveHost } from './host.js';
export type { Drainable } from './lifecycle.js';
export { createLoadBoard, type LoadBoard, MAX_COUNTERS, type SignalKind } from './load-board.js';
export type { InFlight, LoadCounter, LoadSample, LoadUnit, Outcome } from './load-counter.js';
export type { LoadReport, RemoteLoad } from './load-report.js';
export { ATTRIBUTES, METRICS, type MetricDefinition, type MetricKind, type MetricName } from './metrics.js';
export { decodeBinary, encodeBinary } from './orca/binary.js';
export { decodeLoadHeader, encodeLoadHeader, type LoadFormat, readLoadHeaders } from './orca/header.js';
export { liveRandom, type Random, randomId, seededRandom } from './random.js';
export type {
  EndpointSource,
  LastGoodOptions,
  Resolution,
  Resolver,
  ResolverListener,
  ResolverRuntime,
} from './resolver.js';
export {
  DEFAULT_DNS_INTERVAL_MS,
  DEFAULT_DNS_MAX_INTERVAL_MS,
  type DnsRecordType,
  type DnsResolverOptions,
  dnsResolver,
} from './resolver-dns.js';
export { DEFAULT_FILE_INTERVAL_MS, type FileResolverOptions, fileResolver } from './resolver-file.js';
export { type StateResolverOptions, stateResolver } from './resolver-state.js';
export { staticResolver } from './resolver-static.js';
export {
  DEFAULT_RETRIES_PER_SECOND,
  DEFAULT_RETRY_RATIO,
  DEFAULT_RETRY_WINDOW_MS,
  RetryBudget,
  type RetryBudgetOptions,
} from './retry-budget.js';
export { createRuntime, type Runtime, type RuntimeOptions, runWithContext } from './runtime.js';
export { type Attributes, type CallSpan, type Observe, openTelemetry, type Telemetry } from './telemetry.js';
export type {
  BlobStat,
  BlobTransport,
  BlobWriter,
  CallAnswer,
  CallBody,
  CallCompression,
  CallExtension,
  CallGuard,
  CallHandle,
  CallHandler,
  CallRequest,
  CallSink,
  CallTransport,
  DeadLetter,
  Delivery,
  IncomingCall,
  Listener,
  ListenOptions,
  PutOptions,
  QueueItem,
  QueueStats,
  QueueTransport,
  StateEntry,
  StateEvent,
  StateTransport,
  Watch,
} from './transport/index.js';
export { MAX_QUEUE_BATCH, MAX_QUEUE_BODY_BYTES, MAX_STATE_BYTES, MAX_STATE_KEY_BYTES } from './transport/index.js';
export { type VirtualClock, type VirtualClockOptions, virtualClock } from './virtual-clock.js';
