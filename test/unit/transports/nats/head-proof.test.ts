import { expect, it } from 'vitest';
import { HeadProof, type Moment } from '../../../../src/transports/nats/head-proof.js';
import type { JetStream } from '../../../../src/transports/nats/jetstream.js';

it.each([false, true])(
  'a proof counts from when it was asked for, though the machine slept until the answer (cluster: %s)',
  async (isClustered) => {
    let wallTime = 1000;
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const link = { clock: { now: () => 5, wallTime: () => wallTime }, isClustered, up: { flush: () => answered } };
    const js = { link, info: () => answered.then(() => ({ state: { last_seq: 7 } })) } as unknown as JetStream;
    const following = { lastSeq: 6, consumer: 1 };
    const proven: Moment[] = [];
    const proof = new HeadProof(js, 's', following, (asked) => proven.push(asked));
    proof.ask();
    wallTime += 3_600_000;
    answer();
    await answered;
    await Promise.resolve().then(() => {});
    following.lastSeq = 7;
    proof.messageCame();
    expect(proven).toEqual([{ atMs: 5, wallTime: 1000 }]);
  },
);
