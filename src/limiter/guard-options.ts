import type { CallRequest } from '../core/transport/call.js';

export interface GuardOptions {
  /** Weight of a call, in the limiter's unit: the tokens it may generate. Default 1. What it throws fails the call. */
  weightOf?: (request: CallRequest) => number;
  /** Whose share it runs on. Default: none's. */
  partitionOf?: (request: CallRequest) => string | undefined;
}
