/**
 * What a refused caller is told over HTTP. Built once a door: a process under an overload has better things to do than to write the same
 * bytes again.
 *
 * | refused | status | headers |
 * |---|---|---|
 * | for lack of room | 503, or 429 | `retry-after`, `evenkeel-rejected: 1` |
 * | by a limiter that drains | 503 | the same, and `connection: close`: the next call belongs elsewhere |
 * | too little time left | 504 | none: to come again is of no use |
 * | a malformed deadline | 400 | none |
 */
import type { ErrorCode, EvenkeelError } from '../../core/errors.js';
import { HEADERS } from '../../core/headers.js';
import { REFUSALS, type Refusal } from '../refusal.js';

export interface RefusalAnswer {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  /** Flat. */
  readonly headers: readonly string[];
  readonly body: string;
}

export class RefusalAnswers {
  readonly #shed: RefusalAnswer;
  readonly #closed: RefusalAnswer;
  readonly #late = answer(504, 'deadline-exceeded', REFUSALS.deadline[1], []);

  constructor(status: number, retryAfterMs: number) {
    const advice = [HEADERS.retryAfter.text, String(Math.ceil(retryAfterMs / 1000)), HEADERS.rejected.text, '1'];
    this.#shed = answer(status, 'resource-exhausted', 'too much to do at the moment', advice);
    this.#closed = answer(503, 'unavailable', 'going away', [...advice, 'connection', 'close']);
  }

  of(refusal: Refusal): RefusalAnswer {
    if (refusal === 'deadline') return this.#late;
    return refusal === 'closed' ? this.#closed : this.#shed;
  }

  /** For claims that cannot be read. */
  malformed(error: EvenkeelError): RefusalAnswer {
    return error.code === 'invalid-argument'
      ? answer(400, error.code, error.message, [])
      : answer(500, 'internal', 'the request cannot be read', []);
  }
}

function answer(status: number, code: ErrorCode, message: string, advice: readonly string[]): RefusalAnswer {
  const body = JSON.stringify({ code, message });
  const length = String(Buffer.byteLength(body));
  return {
    status,
    code,
    message,
    headers: Object.freeze(['content-type', 'application/json; charset=utf-8', HEADERS.contentLength.text, length, ...advice]),
    body,
  };
}
