/** What the call suite needs to know of a wire, and how it opens one. */
import type { Endpoint } from '../core/endpoint.js';
import type { CallHandler, CallTransport, Listener } from '../core/transport/call.js';
import type { Harness, Session } from './conformance.js';

export interface CallTraits {
  /** Answers may carry trailers. */
  readonly trailers: boolean;
  /** Methods and statuses are carried as given, as HTTP does; gRPC has one of each. */
  readonly http: boolean;
  /**
   * Bytes that one side may have produced and the other not yet taken, all buffers on the way added up, the operating system's
   * included. The suite sends four times as many to a reader that has stopped.
   */
  readonly maxBufferedBytes: number;
  /** The largest body sent in one piece. */
  readonly maxBodyBytes: number;
}

export interface CallSession extends Session {
  readonly transport: CallTransport;
  /** Starts a server. Closed with the session. */
  serve(handler: CallHandler): Promise<{ readonly endpoint: Endpoint; readonly listener: Listener }>;
  /** Nobody listens there. */
  readonly unknown: Endpoint;
}

export type CallHarness = Harness<CallSession, CallTraits>;
