import { describe, expect, it } from 'vitest';
import { seededRandom, virtualClock } from '../../../../src/core/index.js';
import { JetStream } from '../../../../src/transports/nats/jetstream.js';
import type { NatsLink } from '../../../../src/transports/nats/link.js';
import { STREAM_NOT_FOUND, SUBJECTS_OVERLAP } from '../../../../src/transports/nats/nats-errors.js';

/** A server that holds the subjects, and tells of the stream from its `looks`th look after that on. */
function restarted(looks: number) {
  const clock = virtualClock();
  let asked = 0;
  const error = (number: number, code: number) => ({ error: { code, err_code: number, description: 'as told' } });
  const answerTo = (subject: string): object => {
    if (subject.includes('STREAM.CREATE')) return error(SUBJECTS_OVERLAP, 400);
    // The first is before the attempt to make it.
    return asked++ < looks ? error(STREAM_NOT_FOUND, 404) : { config: {}, created: 'before', state: { messages: 3 } };
  };
  const link = {
    clock,
    random: seededRandom(1),
    settings: { apiPrefix: '$JS.API' },
    requests: {
      request: async (subject: string) => ({ data: Buffer.from(JSON.stringify(answerTo(subject))) }),
    },
  };
  const stream = new JetStream(link as unknown as NatsLink).ensureStream({ name: 'queue', subjects: ['queue.>'] });
  return { clock, stream, looks: () => asked };
}

describe('a stream whose subjects are taken, and which is not there', () => {
  it('is waited for: a server that has just started tells of it a moment later', async () => {
    const { clock, stream } = restarted(6);
    const info = stream.then(({ created, state }) => [created, state.messages]);
    await clock.advance(1000);
    expect(await info).toEqual(['before', 3]);
    expect(clock.pending).toBe(0);
  });

  it("is another's when two seconds bring nothing", async () => {
    const { clock, stream, looks } = restarted(Number.POSITIVE_INFINITY);
    const refused = stream.catch((cause: unknown) => cause);
    await clock.advance(2000);
    expect(await refused).toMatchObject({ details: { number: SUBJECTS_OVERLAP } });
    expect(looks()).toBe(21);
  });
});
