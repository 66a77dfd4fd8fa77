import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../../src/core/errors.js';
import type { StreamInfo } from '../../../../src/transports/nats/jetstream.js';
import { CONSUMER_NOT_FOUND, STREAM_NOT_FOUND } from '../../../../src/transports/nats/nats-errors.js';
import { OpenedStream } from '../../../../src/transports/nats/opened-stream.js';

function opened() {
  const seen = { opens: 0, others: 0 };
  const open = async (): Promise<StreamInfo> => {
    seen.opens++;
    const state = { messages: 0, bytes: 0, first_seq: 1, last_seq: 0 };
    return { config: {}, created: String(seen.opens), state };
  };
  const stream = new OpenedStream(open, () => {
    seen.others++;
  });
  /** What it was refused with, and how often it was tried. */
  const failing = async (error: EvenkeelError) => {
    let tries = 0;
    const refused = await stream
      .use(undefined, async () => {
        tries++;
        throw error;
      })
      .catch((cause: unknown) => cause);
    return { refused, tries };
  };
  return { seen, stream, failing };
}

const gone = (number: number, retryable: 'no' | 'unknown') =>
  new EvenkeelError('not-found', 'gone', { retryable, details: { number } });

describe('an operation on a stream', () => {
  it.each([STREAM_NOT_FOUND, CONSUMER_NOT_FOUND])('that is gone (%i) is done again on the next, once', async (number) => {
    const { seen, failing } = opened();
    const error = gone(number, 'no');
    expect(await failing(error)).toEqual({ refused: error, tries: 2 });
    expect(seen).toEqual({ opens: 2, others: 1 });
  });

  it('that may have acted before the stream went is not done again', async () => {
    const { seen, stream, failing } = opened();
    const error = gone(STREAM_NOT_FOUND, 'unknown');
    expect(await failing(error)).toEqual({ refused: error, tries: 1 });
    expect(await stream.use(undefined, async () => 'next')).toBe('next');
    expect(seen).toEqual({ opens: 2, others: 1 });
  });

  it('that nobody answered is not done again, and the next one looks whether the stream is there', async () => {
    const { seen, stream, failing } = opened();
    const error = new EvenkeelError('unavailable', 'nobody', { retryable: 'yes' });
    expect(await failing(error)).toEqual({ refused: error, tries: 1 });
    await stream.use(undefined, async () => {});
    await stream.use(undefined, async () => {});
    expect(seen.opens).toBe(2);
  });
});
