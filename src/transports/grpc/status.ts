/**
 * One outcome in three tongues: the HTTP status of a response, gRPC's status code, evenkeel's error code.
 *
 * From gRPC to HTTP as google.rpc.Code says it; the other way round to the code of the nearest meaning. Neither way keeps every
 * difference, which is why the exact HTTP status travels beside it.
 */
import type { ErrorCode } from '../../core/errors.js';

/** By gRPC code; 0 is OK. */
const CODES: readonly [code: ErrorCode | undefined, httpStatus: number][] = [
  [undefined, 200],
  ['cancelled', 499],
  ['unknown', 500],
  ['invalid-argument', 400],
  ['deadline-exceeded', 504],
  ['not-found', 404],
  ['already-exists', 409],
  ['permission-denied', 403],
  ['resource-exhausted', 429],
  ['failed-precondition', 400],
  ['aborted', 409],
  ['out-of-range', 400],
  ['unimplemented', 501],
  ['internal', 500],
  ['unavailable', 503],
  ['data-loss', 500],
  ['unauthenticated', 401],
];

export const GRPC_OK = 0;
export const GRPC_CANCELLED = 1;
export const GRPC_UNKNOWN = 2;
export const GRPC_INVALID_ARGUMENT = 3;
export const GRPC_DEADLINE_EXCEEDED = 4;
export const GRPC_INTERNAL = 13;
export const GRPC_UNAVAILABLE = 14;
/** The last one. */
export const GRPC_UNAUTHENTICATED = 16;

const BY_STATUS: ReadonlyMap<number, number> = new Map([
  [400, GRPC_INVALID_ARGUMENT],
  [401, GRPC_UNAUTHENTICATED],
  [403, 7],
  [404, 5],
  [408, GRPC_DEADLINE_EXCEEDED],
  [409, 10],
  [412, 9],
  [413, 8],
  [416, 11],
  [429, 8],
  [499, GRPC_CANCELLED],
  [500, GRPC_INTERNAL],
  [501, 12],
  [502, GRPC_UNAVAILABLE],
  [503, GRPC_UNAVAILABLE],
  [504, GRPC_DEADLINE_EXCEEDED],
]);

/** A code that gRPC does not define counts as unknown (gRPC over HTTP/2, "Status"). */
export function errorCodeOf(grpcCode: number): ErrorCode {
  return CODES[grpcCode]?.[0] ?? 'unknown';
}

export function httpStatusOf(grpcCode: number): number {
  return CODES[grpcCode]?.[1] ?? 500;
}

/** @param httpStatus - 200 to 599. */
export function grpcCodeOf(httpStatus: number): number {
  if (httpStatus < 300) return GRPC_OK;
  const known = BY_STATUS.get(httpStatus);
  if (known !== undefined) return known;
  if (httpStatus < 400) return GRPC_UNKNOWN;
  return httpStatus < 500 ? 9 : GRPC_INTERNAL;
}
