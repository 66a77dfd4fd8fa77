/** Admission: as many calls as can be worked on, a few that wait, and quick refusals for the rest, least critical first. */
export { type AcquireOptions, MAX_WEIGHT } from './claim.js';
export {
  createThrottle,
  DEFAULT_MAX_PUSHBACK_MS,
  DEFAULT_THROTTLE_MULTIPLIER,
  DEFAULT_THROTTLE_WINDOW_MS,
} from './client-throttle.js';
export { callContextOf } from './doors/call-context-of.js';
export { type LimitedCallHandler, limitCalls } from './doors/call-door.js';
export { DEFAULT_REFUSAL_STATUS, DEFAULT_RETRY_AFTER_MS, type DoorCaller, type DoorOptions } from './doors/door-options.js';
export { expressLimiter } from './doors/express-door.js';
export {
  type FastifyInstanceLike,
  type FastifyLimiterPlugin,
  type FastifyReplyLike,
  type FastifyRequestLike,
  fastifyLimiter,
} from './doors/fastify-door.js';
export { type FetchLimitedHandler, fetchLimiter } from './doors/fetch-door.js';
export { grpcLimiter } from './doors/grpc-door.js';
export type { GrpcDoorRequest, GrpcLimiterInterceptor, GrpcMetadataLike } from './doors/grpc-shapes.js';
export { type HttpHandler, httpLimiter } from './doors/node-door.js';
export { createLimiter } from './gated-limiter.js';
export type { GuardOptions } from './guard-options.js';
export { createLimiters, DEFAULT_MAX_IDLE_LIMITERS } from './keyed-limiters.js';
export type { LimitChange } from './limit-history.js';
export type { Limiter, LimiterOptions, ReadyOptions } from './limiter.js';
export type { LimiterEvents } from './limiter-events.js';
export type { LimiterExplanation, LimiterSnapshot } from './limiter-report.js';
export type { Limiters, LimitersOptions, LimitersSnapshot, PairGuardOptions } from './limiters.js';
export { type AimdLimitOptions, aimdLimit } from './limits/aimd.js';
export { fixedLimit } from './limits/fixed.js';
export { type GradientLimitOptions, gradientLimit } from './limits/gradient.js';
export type { Limit, LimitFactory, LimitSurroundings, LimitWindow } from './limits/limit.js';
export { type QueueDelayLimitOptions, queueDelayLimit } from './limits/queue-delay.js';
export type { LimitSignal } from './limits/signals.js';
export { DEFAULT_CALM_WAIT_MS, DEFAULT_MAX_QUEUED, DEFAULT_OVERLOAD_WAIT_MS, type QueueOptions } from './options.js';
export { MAX_PARTITIONS } from './partitions.js';
export type { Permit } from './permit.js';
export type { Refusal } from './refusal.js';
export {
  DEFAULT_SHARE_EVERY_MS,
  DEFAULT_SHARE_LEASE_MS,
  type ShareOptions,
  type ShareSnapshot,
  type ShareState,
} from './share-options.js';
export { MAX_SHARE_INSTANCES } from './share-table.js';
export { type QuotaDemand, splitQuota } from './split-quota.js';
export type { Throttle, ThrottledCall, ThrottledWork, ThrottleOptions } from './throttle.js';
export type { ThrottleRefusal } from './throttle-refusal.js';
export type { ThrottleClassSnapshot, ThrottleEvents, ThrottleSnapshot } from './throttle-report.js';
