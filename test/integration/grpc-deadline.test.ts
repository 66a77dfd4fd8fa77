/** Deadlines of gRPC calls, while somebody sets the calendar. */
import * as grpc from '@grpc/grpc-js';
import { createGrpcTransport, grpcMethod } from 'evenkeel/grpc';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { foreignServer, startCall, Texts } from '../support/grpc-peers.js';
import { eventually } from '../support/http-servers.js';

const HOUR_MS = 3_600_000;

describe('a deadline', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([HOUR_MS, -HOUR_MS])('stays where it is when the calendar jumps %i ms before the call is sent', async (jumpMs) => {
    let leftMs = 0;
    await using server = await foreignServer({
      Unary: (call, reply) => {
        leftMs = Number(call.getDeadline()) - Date.now();
        reply(null, { text: '' });
      },
    });
    await using transport = createGrpcTransport({ grpc });
    const unary = grpcMethod(Texts.Unary);
    vi.useFakeTimers({ toFake: ['Date'] });
    const headers = ['evenkeel-timeout-ms', '60000'];
    const call = startCall(transport, server.endpoint, { path: unary.path, headers, body: unary.encode({ text: '' }) });
    vi.setSystemTime(Date.now() + jumpMs);
    await eventually('it is over', () => call.isOver);
    expect([call.error, call.status]).toEqual([undefined, 200]);
    expect(leftMs).toBeGreaterThan(50_000);
    expect(leftMs).toBeLessThanOrEqual(60_000);
  });
});
