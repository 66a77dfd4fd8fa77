/** Requests and answers with much to say beside their body: HTTP/2 ends a connection, and every call on it, for what it cannot carry. */
import { afterEach, describe, expect, it } from 'vitest';
import { callOnce, GrpcRig, startCall } from '../support/grpc-peers.js';
import { eventually } from '../support/http-servers.js';

const rig = new GrpcRig();
afterEach(() => rig.close());

const tooLarge = { code: 'invalid-argument', retryable: 'no', message: expect.stringMatching(/[1-9]\d{5} bytes.* 60000/) };
const headersOf = (count: number, length: number) =>
  Array.from({ length: count }, (_, i) => [`h${i}`, '~'.repeat(length)]).flat();

describe('a connection', () => {
  it.each([
    ['a header larger than HTTP/2 carries', { headers: headersOf(1, 120_000) }, tooLarge],
    ['headers in more frames than HTTP/2 carries', { headers: headersOf(4, 50_000) }, tooLarge],
    ['a path larger than HTTP/2 carries', { path: `/${'~'.repeat(120_000)}` }, tooLarge],
    ['a method larger than HTTP/2 carries', { method: '~'.repeat(120_000) }, tooLarge],
    ['more headers than a server takes', { headers: headersOf(4000, 4) }, { code: 'resource-exhausted' }],
    ['as many bytes as may be', { headers: headersOf(1, 59_993) }, undefined],
  ])('that is sent %s keeps its other calls', async (_what, request, expected) => {
    const transport = rig.transport();
    let finish: (() => void) | undefined;
    const listener = await rig.serve(transport, async (call) => {
      if (call.path !== '/wait') return { status: 200 };
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return { status: 200 };
    });
    const to = { id: 'server', address: listener.address };
    const other = startCall(transport, to, { path: '/wait' });
    await eventually('it is there', () => finish !== undefined);
    const { error } = await callOnce(transport, to, { path: '/x', ...request });
    if (expected === undefined) expect(error).toBeUndefined();
    else expect(error).toMatchObject(expected);
    finish?.();
    await eventually('the other is over', () => other.isOver);
    expect([other.error, other.status]).toEqual([undefined, 200]);
  });
});

describe('an answer', () => {
  // Percent-encoded each of these characters takes six bytes: 80,000 in all.
  const much = [...headersOf(1, 55_986), 'grpc-message', 'ü'.repeat(4000)];

  it('with as many bytes as may be and the longest message is told as it is', async () => {
    const transport = rig.transport();
    const listener = await rig.serve(transport, async ({ path }) =>
      path === '/refused'
        ? { status: 400, headers: much }
        : { status: 200, body: 'x', trailers: ['grpc-status', '5', ...much.slice(2), 'h0', '~'.repeat(55_974)] },
    );
    const to = { id: 'server', address: listener.address };
    expect(await callOnce(transport, to, { path: '/refused' })).toMatchObject({ status: 400, error: undefined });
    const { error } = await callOnce(transport, to, { path: '/failed' });
    expect(error).toMatchObject({ code: 'not-found', message: expect.stringContaining('ü'.repeat(4000)) });
  });
});
