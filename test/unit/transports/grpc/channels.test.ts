/** Channels that are done with, and that nothing holds on to them: counted on the heap, after a collection. */
import { queryObjects } from 'node:v8';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { type Endpoint, type VirtualClock, virtualClock } from '../../../../src/core/index.js';
import { createGrpcTransport, type GrpcTransport } from '../../../../src/transports/grpc/index.js';

const { IDLE, READY } = grpc.connectivityState;
const CONNECT_TIMEOUT_MS = 1000;

/** Connections that stay as they are, with calls that nobody answers. */
function deadEnd(state: grpc.connectivityState) {
  const seen = { closed: 0 };
  class DeadEndChannel {
    close() {
      seen.closed++;
    }
    getTarget = () => 'target';
    getConnectivityState = () => state;
    watchConnectivityState() {}
    createCall() {
      return {
        start() {},
        startRead() {},
        sendMessageWithContext() {},
        halfClose() {},
        cancelWithStatus() {},
        getPeer: () => '',
      };
    }
  }
  const clock = virtualClock();
  const peer = { ...grpc, Channel: DeadEndChannel };
  const transport = createGrpcTransport({ grpc: peer, clock, connectTimeoutMs: CONNECT_TIMEOUT_MS });
  return { transport, clock, seen, kept: () => queryObjects(DeadEndChannel, { format: 'count' }) };
}

const to: Endpoint = { id: 'a', address: 'grpc://127.0.0.1:1' };

/** Keeps no handle: that would keep the channel. */
async function inCall(transport: GrpcTransport, clock: VirtualClock, act: () => void | Promise<void>): Promise<void> {
  const sink = { onResponse() {}, onData() {}, onEnd() {}, onError() {} };
  const call = transport.start(to, { path: '/x', headers: [] }, sink);
  await clock.settle();
  await act();
  call.cancel('cancelled');
  await clock.settle();
}

describe('a channel', () => {
  it('that is forgotten in a call is closed and let go of when the call is over', async () => {
    const { transport, clock, seen, kept } = deadEnd(READY);
    await inCall(transport, clock, () => {
      transport.forget(to);
      expect([seen.closed, kept()]).toEqual([0, 1]);
    });
    expect([seen.closed, kept()]).toEqual([1, 0]);
    await transport.close();
  });

  it('that is forgotten after its calls is closed and let go of at once', async () => {
    const { transport, clock, seen, kept } = deadEnd(READY);
    await inCall(transport, clock, () => {});
    expect([seen.closed, kept()]).toEqual([0, 1]);
    transport.forget(to);
    expect([seen.closed, kept()]).toEqual([1, 0]);
    await transport.close();
  });

  it('that cannot connect in time is closed and let go of with the calls that waited', async () => {
    const { transport, clock, seen, kept } = deadEnd(IDLE);
    await inCall(transport, clock, async () => {
      await clock.advance(CONNECT_TIMEOUT_MS);
      expect(seen.closed).toBe(1);
    });
    expect([seen.closed, kept()]).toEqual([1, 0]);
    await transport.close();
  });
});
