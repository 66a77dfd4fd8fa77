import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../../src/core/index.js';
import { callError } from '../../../../src/transports/http/errors.js';

const coded = (code: string, message = 'it broke') => Object.assign(new Error(message), { code });

describe('an error of the wire', () => {
  it.each([
    ['ECONNREFUSED', 'unavailable'],
    ['ECONNRESET', 'unavailable'],
    ['ENOTFOUND', 'unavailable'],
    ['EPIPE', 'unavailable'],
    ['UND_ERR_SOCKET', 'unavailable'],
    ['UND_ERR_CONNECT_TIMEOUT', 'unavailable'],
    ['UND_ERR_CLOSED', 'unavailable'],
    ['UND_ERR_HEADERS_OVERFLOW', 'internal'],
    ['HPE_INVALID_CONSTANT', 'internal'],
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'data-loss'],
    ['UND_ERR_INVALID_ARG', 'invalid-argument'],
    ['UND_ERR_ABORTED', 'cancelled'],
  ])('%s is %s', (system, code) => {
    expect(callError(coded(system), 'a', true, false)).toMatchObject({ code, endpoint: 'a', details: { system } });
  });

  it('is safe to repeat only when it came before a connection was ours', () => {
    expect(callError(coded('ECONNRESET'), 'a', false, false).retryable).toBe('yes');
    expect(callError(coded('ECONNRESET'), 'a', true, false).retryable).toBe('unknown');
    expect(callError(coded('ECONNRESET'), 'a', true, true).retryable).toBe('unknown');
    expect(callError(coded('UND_ERR_INVALID_ARG'), 'a', false, false).retryable).toBe('no');
  });

  it('says when it came, and what the system said', () => {
    expect(callError(coded('ECONNRESET'), 'a', false, false).message).toBe(
      'a failed before the request was sent: ECONNRESET it broke',
    );
    expect(callError(coded('ECONNRESET'), 'a', true, false).message).toContain('before the response');
    expect(callError(coded('ECONNRESET'), 'a', true, true).message).toContain('in the middle of the response');
    expect(callError(coded('EPIPE', 'write EPIPE'), 'a', true, true).message).toMatch(/: write EPIPE$/);
  });

  it('of a parser without a code is known by its name', () => {
    const error = Object.assign(new Error('Expected HTTP/'), { name: 'HTTPParserError' });
    expect(callError(error, 'a', true, false)).toMatchObject({ code: 'internal', retryable: 'unknown' });
  });

  it('that is coded already stays as it is, and what is no error at all is coded', () => {
    const known = new EvenkeelError('aborted', 'known');
    expect(callError(known, 'a', true, true)).toBe(known);
    for (const odd of [undefined, null, 'text', 5, {}]) expect(callError(odd, 'a', true, true)).toBeInstanceOf(EvenkeelError);
  });
});
