/** What can be wrong with a call before it begins, and finding its place where it does not name it. */
import type { CallContext } from '../core/call-context.js';
import { EvenkeelError, invalidArgument } from '../core/errors.js';
import type { RouterRequest } from './router-request.js';

/** Blocks of 64 tokens of a context of a quarter of a million. */
export const MAX_AFFINITY_KEYS = 4096;

/** What is wrong with a call before it begins, if anything. Paths and headers are checked in full by the transport. */
export function faultOf(request: RouterRequest, context: CallContext | undefined): EvenkeelError | undefined {
  const { path, weight, model, shard, affinity, signal } = request;
  if (typeof path !== 'string' || !path.startsWith('/')) return invalidArgument('path', path, 'a string that begins with /');
  if (weight !== undefined && !(typeof weight === 'number' && weight > 0 && weight < Number.POSITIVE_INFINITY)) {
    return invalidArgument('weight', weight, 'a finite number above 0');
  }
  const misplaced = faultOfPlace(model, shard, affinity);
  if (misplaced !== undefined) return misplaced;
  if (!isSignal(signal)) return invalidArgument('signal', signal, 'an AbortSignal');
  if (!isSignal(context?.signal)) return invalidArgument('context.signal', context?.signal, 'an AbortSignal');
  if (context?.deadline !== undefined && Number.isNaN(context.deadline)) {
    return invalidArgument('context.deadline', context.deadline, 'a time of the clock');
  }
  return undefined;
}

/** Of any make: tests and polyfills have their own. */
function isSignal(signal: unknown): boolean {
  return signal === undefined || typeof (signal as AbortSignal | null)?.addEventListener === 'function';
}

/** What names a call's place that does not name it itself. */
export interface PlaceNames {
  readonly shardOf?: ((request: RouterRequest) => string | undefined) | undefined;
  readonly affinityOf?: ((request: RouterRequest) => readonly string[] | undefined) | undefined;
}

interface Placed {
  readonly request: RouterRequest;
  shard: string | undefined;
  affinity: readonly string[] | undefined;
}

/** Finds the call's shard and affinity where it does not name them; what went wrong, if anything. */
export function placeCall(call: Placed, { shardOf, affinityOf }: PlaceNames): EvenkeelError | undefined {
  if (shardOf === undefined && affinityOf === undefined) return undefined;
  try {
    call.shard ??= shardOf?.(call.request);
    call.affinity ??= affinityOf?.(call.request);
    return faultOfPlace(undefined, call.shard, call.affinity);
  } catch (cause) {
    return new EvenkeelError('invalid-argument', `the call has no place: ${cause}`, { cause });
  }
}

/** What is wrong with what decides where a call goes, if anything. */
export function faultOfPlace(model: unknown, shard: unknown, affinity: unknown): EvenkeelError | undefined {
  if (model !== undefined && typeof model !== 'string') return invalidArgument('model', model, 'a string');
  if (shard !== undefined && typeof shard !== 'string') return invalidArgument('shard', shard, 'the name of a shard');
  if (affinity === undefined) return undefined;
  if (!(Array.isArray(affinity) && affinity.length <= MAX_AFFINITY_KEYS)) {
    return invalidArgument('affinity', affinity, `an array of at most ${MAX_AFFINITY_KEYS} keys`);
  }
  // Keys of another type would all look alike.
  for (const key of affinity) if (typeof key !== 'string') return invalidArgument('affinity', key, 'keys that are strings');
  return undefined;
}
