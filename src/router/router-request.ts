/** A call as its user writes it. */
import type { CallBody } from '../core/transport/call.js';

export interface RouterRequest {
  /** The operation: `/v1/chat/completions`, `/pkg.Service/Method`. */
  readonly path: string;
  /** Default GET, POST with a body. */
  readonly method?: string;
  /** Flat (name, value, name, value: the fast form) or an object. */
  readonly headers?: readonly string[] | Readonly<Record<string, string>>;
  /** A stream is sent once: such a call is retried only while nothing of it was read. */
  readonly body?: CallBody;
  /** Default `buffer`. `stream` resolves with the response's head; the body is read from `response.stream`. */
  readonly response?: 'buffer' | 'stream';
  /** Doing it twice is harmless. Default: by method (RFC 9110). */
  readonly idempotent?: boolean;
  /** Name of the model asked for: its own load counter on the servers is compared, where they report it. */
  readonly model?: string;
  /** The shard that the call is for: it goes to those who hold it, by the resolver's map. */
  readonly shard?: string;
  /** Who of them: `primary` for what only the primary may do. Default `any`. */
  readonly shardRole?: 'any' | 'primary';
  /** Keys that the call shares with others, for pickers that keep such calls together: one key, or a chain of hashes of ever longer prefixes. */
  readonly affinity?: readonly string[];
  /** Expected work, in one unit for all calls of the router (tokens, say). Default 1; above 0. */
  readonly weight?: number;
  /** The work it really was, from the buffered body (a `usage` field, say); undefined: as expected. What it throws is ignored. */
  readonly actualWeight?: (body: Uint8Array) => number | undefined;
  /** Cancels the call. */
  readonly signal?: AbortSignal;
}
