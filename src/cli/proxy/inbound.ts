/**
 * One request as it came in and the answer to it, whichever protocol they travel by. The two implementations know node:http and
 * node:http2; what is done with a request knows neither.
 */
import type { Readable } from 'node:stream';

export interface Inbound {
  /** `1.0`, `1.1`, `2`: as `Via` names it. */
  readonly version: string;
  readonly method: string;
  /** As on the request line: a path, or a URL. */
  readonly rawTarget: string;
  readonly hostHeader: string;
  /** Flat, without pseudo headers; HTTP/2's `:authority` stands among them as `host`. */
  readonly headers: readonly string[];
  readonly remoteAddress: string | undefined;
  readonly hasBody: boolean;
  /** As stated; undefined: it will be known at its end. */
  readonly contentLength: number | undefined;
  readonly body: Readable;
  /** The body has ended. Did its sender mean that, or break off? Resolves with true when it is whole. */
  isBodyWhole(): Promise<boolean>;
  /** The caller waits for leave to send its body. */
  continue(): void;
  /** Begins the answer. `isBare`: no body follows. @throws for what the protocol cannot carry. */
  respond(status: number, headers: string[], isBare?: boolean): void;
  /** Sends the head now, ahead of a body that is yet to come. */
  flush(): void;
  /** False: wait for `writable`. */
  write(chunk: Uint8Array | string): boolean;
  /** Resolves when more may be written, or when nobody is there to write to. */
  writable(): Promise<void>;
  /** Ends the answer. */
  end(trailers: readonly string[]): void;
  /** Breaks the answer off, so that nobody takes it for whole. */
  reset(): void;
  /** What was written is not with the system yet: the caller reads slowly, or not at all. */
  readonly hasUnsent: boolean;
  /** Nobody reads what is written any more. */
  readonly isOver: boolean;
  /**
   * Called once when the exchange is over: the answer is with the system, whole (true), or the caller has left, or it was reset.
   * There is one listener.
   */
  onOver: ((isWhole: boolean) => void) | undefined;
}

export type InboundHandler = (inbound: Inbound) => void;

/**
 * How long the rest of a request that was answered early is read and thrown away. Were its connection closed at once, a sender that
 * is still at it would not see the answer.
 */
export const LINGER_MS = 1000;

/** Whole numbers only: anything else has been refused by the parser, or will be by the server. */
export function parseLength(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** Pairs of a flat list. */
export function* pairsOf(flat: readonly string[]): Generator<[name: string, value: string]> {
  for (let i = 0; i + 1 < flat.length; i += 2) yield [flat[i] as string, flat[i + 1] as string];
}
