/** What may go over a wire: paths, methods, header lists, bodies. Checked the same everywhere, so that a call refused by one transport is refused by all. */
import { checkInteger, invalidArgument } from '../errors.js';
import type { CallAnswer, CallBody, CallRequest } from '../transport/call.js';

/** Visible ASCII behind a slash. */
export const CALL_PATH = /^\/[\x21-\x7e]*$/;
/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, section 5.5: Latin-1 without control characters except the tab. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export function checkRequest(request: CallRequest): void {
  const { path, method, headers, body } = request;
  if (typeof path !== 'string' || !CALL_PATH.test(path))
    throw invalidArgument('request.path', path, 'a slash, then visible ASCII');
  if (method !== undefined && (typeof method !== 'string' || !TOKEN.test(method))) {
    throw invalidArgument('request.method', method, 'a token such as GET');
  }
  checkHeaders('request.headers', headers);
  checkBody('request.body', body);
}

export function checkAnswer(answer: CallAnswer): void {
  if (typeof answer !== 'object' || answer === null) throw invalidArgument('answer', answer, 'an object with a status');
  checkInteger('answer.status', answer.status, 200, 599);
  checkHeaders('answer.headers', answer.headers);
  checkBody('answer.body', answer.body);
}

export function checkHeaders(what: string, headers: readonly string[] | undefined): void {
  if (headers === undefined) return;
  if (!Array.isArray(headers) || headers.length % 2 !== 0) throw invalidArgument(what, headers, 'names and values in turn');
  for (let i = 0; i < headers.length; i += 2) {
    const name: unknown = headers[i];
    const value: unknown = headers[i + 1];
    if (typeof name !== 'string' || !TOKEN.test(name))
      throw invalidArgument(`a name in ${what}`, name, 'a token such as x-trace');
    if (typeof value !== 'string' || !FIELD_VALUE.test(value)) {
      throw invalidArgument(`${name} in ${what}`, value, 'Latin-1 text on one line');
    }
  }
}

export function checkBody(what: string, body: CallBody | undefined): void {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return;
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body) return;
  throw invalidArgument(what, body, 'a string, bytes, or an async iterable of them');
}
