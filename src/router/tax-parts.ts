/**
 * Where the time of one attempt went. The parts lie end to end, so they add up to the whole, whatever the clocks of the two machines say.
 *
 * The wire is what is left between "the request is out" and "the head of the response is here" once the server's own times are taken off;
 * nobody can see which way it went, so that its halves are an assumption. The event loop's delay is in none of the parts and may be in each:
 * it is told beside them.
 * @see Seemakhupt et al., "A Cloud-Scale Characterization of Remote Procedure Calls", SOSP'23, section 2
 */
import type { ServerTimes } from './server-timing.js';

export const PARTS = [
  /** From the call to its dispatch: waiting for room, or for the answer to a question. First attempts only. */
  'clientQueue',
  /** The choice of an endpoint, the making of the request's head and, where it is on, compression. */
  'serialize',
  /** From there until a connection is ours. */
  'connect',
  /** Until the request is out whole. */
  'send',
  'wireRequest',
  'serverQueue',
  'application',
  'serverSend',
  'wireResponse',
  /** From the head of the response to its last byte: of a stream also the time that the server takes between pieces. */
  'receive',
  /** Between request and response, of a server that does not tell: wire and server in one. */
  'untold',
] as const;

export type TaxPart = (typeof PARTS)[number];

/** Clock.now() at each step; NaN: it was not told. */
export interface AttemptTimes {
  readonly queuedAt: number;
  readonly dispatchedAt: number;
  readonly startedAt: number;
  readonly connectedAt: number;
  readonly sentAt: number;
  readonly headAt: number;
  readonly endedAt: number;
}

/** Fills `parts`, in the order of PARTS. Steps that were not told take no time; none begins before the one before it. */
export function splitTime(times: AttemptTimes, server: ServerTimes | undefined, parts: Float64Array): void {
  const { queuedAt, dispatchedAt, startedAt, headAt, endedAt } = times;
  const head = Number.isNaN(headAt) ? endedAt : headAt;
  const connected = Math.min(head, Math.max(startedAt, orElse(times.connectedAt, startedAt)));
  // A server may answer before it has the whole request.
  const sent = Math.min(head, Math.max(connected, orElse(times.sentAt, connected)));
  const wait = head - sent;
  parts.fill(0);
  parts[0] = dispatchedAt - queuedAt;
  parts[1] = startedAt - dispatchedAt;
  parts[2] = connected - startedAt;
  parts[3] = sent - connected;
  parts[9] = endedAt - head;
  if (server === undefined) {
    parts[10] = wait;
    return;
  }
  const told = server.queue + server.application + server.send;
  // A server that tells more than the wait began before the request was out, or its clock runs faster.
  const scale = told > wait && told > 0 ? wait / told : 1;
  parts[5] = server.queue * scale;
  parts[6] = server.application * scale;
  parts[7] = server.send * scale;
  const wire = Math.max(0, wait - told * scale);
  parts[4] = wire / 2;
  parts[8] = wire / 2;
}

function orElse(value: number, otherwise: number): number {
  return Number.isNaN(value) ? otherwise : value;
}
