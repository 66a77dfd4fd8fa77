/** A call at the server's end. */
import type { EvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import type { CallRequest } from '../core/transport/call.js';

/** A call as a server's end sees it. Whole answers take one message, streams one each piece. */
export interface ArrivedCall {
  readonly request: CallRequest;
  /** Name of the caller's machine. */
  readonly from: string;
  /** Called when the caller has gone away; work may go on, its answer goes nowhere. */
  onCancel: ((code: 'cancelled' | 'deadline-exceeded') => void) | undefined;
  /** Called when too much of the answer is under way, and when there is room again. */
  onPause: ((isPaused: boolean) => void) | undefined;
  /** The request's body, a stream, has been read whole. */
  sent(): void;
  /** The whole answer. */
  answer(status: number, headers: HeaderList, body?: Uint8Array, trailers?: HeaderList): void;
  head(status: number, headers: HeaderList): void;
  data(chunk: Uint8Array): void;
  end(trailers?: HeaderList): void;
  fail(error: EvenkeelError): void;
}

/** What a server does with calls that arrive. */
export type OnCall = (call: ArrivedCall) => void;
