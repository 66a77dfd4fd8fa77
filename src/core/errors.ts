/**
 * One error class with a stable code. Match codes, never classes or messages:
 *
 * ```ts
 * if (isEvenkeelError(error, 'deadline-exceeded')) giveUp();
 * ```
 *
 * Two questions decide what a caller may do next, and every error answers both:
 * - `retryable`: may the same call be sent again without risk of doing its work twice? `'yes'` only when no byte of it was
 *   written or the server said that it did nothing; `'unknown'` when the server may have acted.
 * - `rejected`: was the call turned away unprocessed because something is full? Then waiting `retryAfterMs` is wiser than retrying.
 */

/** The canonical gRPC status names in kebab-case, without `ok`. */
export const ERROR_CODES = [
  'cancelled',
  'unknown',
  'invalid-argument',
  'deadline-exceeded',
  'not-found',
  'already-exists',
  'permission-denied',
  'resource-exhausted',
  'failed-precondition',
  'aborted',
  'out-of-range',
  'unimplemented',
  'internal',
  'unavailable',
  'data-loss',
  'unauthenticated',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export type Retryable = 'yes' | 'no' | 'unknown';

export interface EvenkeelErrorOptions {
  /** Default `'no'`. */
  retryable?: Retryable;
  /** Turned away unprocessed. Default false. */
  rejected?: boolean;
  /** Milliseconds the other side asks to wait. */
  retryAfterMs?: number;
  /** Id of the endpoint the call was sent to. */
  endpoint?: string;
  /** Attempts made in all, the first included. */
  attempts?: number;
  cause?: unknown;
  /** What a program may want to read: the refused value, the limit, the option's name. */
  details?: Readonly<Record<string, unknown>>;
}

export class EvenkeelError extends Error {
  override readonly name = 'EvenkeelError';
  readonly code: ErrorCode;
  readonly retryable: Retryable;
  readonly rejected: boolean;
  readonly retryAfterMs: number | undefined;
  readonly endpoint: string | undefined;
  readonly attempts: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: EvenkeelErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? 'no';
    this.rejected = options.rejected ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.endpoint = options.endpoint;
    this.attempts = options.attempts;
    this.details = options.details;
  }

  /** Plain JSON; the cause is reduced to its message. */
  toJSON(): Record<string, unknown> {
    const { code, message, retryable, rejected, retryAfterMs, endpoint, attempts, details } = this;
    const cause = this.cause instanceof Error ? this.cause.message : this.cause;
    return { code, message, retryable, rejected, retryAfterMs, endpoint, attempts, details, cause };
  }
}

/** True for an evenkeel error, of `code` when one is given. Works across copies of the package: it reads fields, not the class. */
export function isEvenkeelError(error: unknown, code?: ErrorCode): error is EvenkeelError {
  if (!(error instanceof Error) || error.name !== 'EvenkeelError') return false;
  return code === undefined || (error as EvenkeelError).code === code;
}

/**
 * An error built once and thrown many times, for refusals on hot paths: frozen, and without a stack, since it would tell where
 * the error was built and not where it happened.
 */
export function prebuiltError(code: ErrorCode, message: string, options?: EvenkeelErrorOptions): EvenkeelError {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return Object.freeze(new EvenkeelError(code, message, options));
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/**
 * Details of a refusal by a guard of this process (a limiter, a throttle): the call went nowhere, and no server is to blame.
 * `guard`: its kind and name, `limiter search`.
 */
export function guardDetails(guard: string, reason: string): Readonly<Record<string, unknown>> {
  return Object.freeze({ guard, reason });
}

/** Turned away by a guard of this process. */
export function isOwnRefusal(error: EvenkeelError): boolean {
  return error.rejected && error.details?.guard !== undefined;
}

/** `invalid-argument`, worded the same everywhere: which value, what it was, what was expected. */
export function invalidArgument(what: string, value: unknown, expected: string): EvenkeelError {
  return new EvenkeelError('invalid-argument', `${what} is ${show(value)}; expected ${expected}`, {
    details: { what, value, expected },
  });
}

/** Returns `value` when it is a finite number within [min, max]; throws `invalid-argument` otherwise. */
export function checkNumber(what: string, value: number, min: number, max = Number.POSITIVE_INFINITY): number {
  if (typeof value === 'number' && value >= min && value <= max && Number.isFinite(value)) return value;
  const range = max === Number.POSITIVE_INFINITY ? `a finite number of at least ${min}` : `a number from ${min} to ${max}`;
  throw invalidArgument(what, value, range);
}

/** As {@link checkNumber}, for whole numbers. */
export function checkInteger(what: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw invalidArgument(what, value, `a whole number from ${min} to ${max}`);
}

/** Long values are cut: an error message is no place for 10 MB of header. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 120 ? `${value.slice(0, 117)}...` : value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) {
    try {
      const text = JSON.stringify(value) ?? Object.prototype.toString.call(value);
      return text.length > 120 ? `${text.slice(0, 117)}...` : text;
    } catch {
      return Object.prototype.toString.call(value);
    }
  }
  return String(value);
}
