import { Metadata, status as Status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { isFromServer, localError } from '../../../../src/transports/grpc/errors.js';

function status(code: number, details: string, metadata: Record<string, string> = {}) {
  const built = new Metadata();
  for (const [name, value] of Object.entries(metadata)) built.set(name, value);
  return { code, details, metadata: built };
}

describe('a status', () => {
  it('in one block with its content type is the server’s, headers or none', () => {
    const one = status(Status.UNAVAILABLE, 'Connection dropped', { 'content-type': 'application/grpc' });
    expect([isFromServer(one, false), isFromServer(one, true)]).toEqual([true, true]);
  });

  it('that names its HTTP status is the server’s, whatever it says', () => {
    expect(isFromServer(status(Status.UNAVAILABLE, 'Connection dropped', { 'evenkeel-status': '503' }), true)).toBe(true);
  });

  it('without metadata and without headers before it was made up here', () => {
    expect(isFromServer(status(Status.UNAVAILABLE, 'anything'), false)).toBe(false);
  });

  it.each(['Connection dropped', 'Received RST_STREAM with code 2', 'read ECONNRESET', 'Deadline exceeded after 1.0s'])(
    'behind headers, bare, in the words “%s”, was made up here',
    (details) => {
      expect(isFromServer(status(Status.INTERNAL, details), true)).toBe(false);
      expect(isFromServer(status(Status.INTERNAL, 'out of disk'), true)).toBe(true);
    },
  );
});

describe('an error made up here', () => {
  it.each([
    ['a cancellation that is not ours', Status.CANCELLED, 'Call cancelled', true, 'unavailable', 'unknown'],
    ['a stream without a status', Status.INTERNAL, 'Received RST_STREAM with code 0', true, 'unavailable', 'unknown'],
    ['a lost connection', Status.UNAVAILABLE, 'Connection dropped', true, 'unavailable', 'unknown'],
    ['no connection', Status.UNAVAILABLE, 'No connection established', false, 'unavailable', 'yes'],
    ['a refused stream', Status.UNAVAILABLE, 'Stream refused by server', true, 'unavailable', 'yes'],
    ['a deadline', Status.DEADLINE_EXCEEDED, 'Deadline exceeded after 1s', true, 'deadline-exceeded', 'unknown'],
    ['a deadline before the start', Status.DEADLINE_EXCEEDED, 'Deadline exceeded', false, 'deadline-exceeded', 'yes'],
    ['a large message', Status.RESOURCE_EXHAUSTED, 'Received message larger than max (2 vs 1)', true, 'resource-exhausted', 'no'],
  ])('for %s', (_what, code, details, isSent, expected, retryable) => {
    const error = localError(status(code, details), 'a', { isSent, isPulled: false, hasResponse: false });
    expect(error).toMatchObject({ code: expected, retryable, endpoint: 'a' });
  });

  it('is never safe to retry once its body was pulled', () => {
    const refused = status(Status.UNAVAILABLE, 'Stream refused by server');
    expect(localError(refused, 'a', { isSent: false, isPulled: true, hasResponse: false }).retryable).toBe('unknown');
  });
});
