/**
 * The front door: what most programs need, by one name. Everything else has its own subpath, and transports are imported from theirs,
 * so that importing this loads no peer.
 */
export {
  announce,
  type CallContext,
  type CallTransport,
  type Clock,
  type Criticality,
  createRuntime,
  dnsResolver,
  type Endpoint,
  EvenkeelError,
  fileResolver,
  isEvenkeelError,
  type LoadReport,
  openTelemetry,
  type Resolver,
  type Runtime,
  runWithContext,
  stateResolver,
  staticResolver,
} from './core/index.js';
export { createLimiter, type Limiter, type LimiterOptions } from './limiter/index.js';
export { createLoadReporter, createRouter, type Router, type RouterOptions } from './router/index.js';
