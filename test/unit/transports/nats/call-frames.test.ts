import { describe, expect, it } from 'vitest';
import {
  decodeFrame,
  decodeHead,
  encodeFrame,
  encodeHead,
  FRAME,
  type Frame,
  PIECE_BYTES,
  PieceCounter,
  WINDOW_BYTES,
} from '../../../../src/transports/nats/call-frames.js';
import { IncomingBody, OutgoingBody } from '../../../../src/transports/nats/call-stream.js';

const decoded = (bytes: Uint8Array): Frame => {
  const frame = decodeFrame(bytes);
  if (frame === undefined) throw new Error('no frame');
  return frame;
};

describe('frames', () => {
  it('come back as they were', () => {
    expect(decoded(encodeFrame(FRAME.data, 2 ** 32 - 1, Uint8Array.of(1, 2)))).toMatchObject({
      kind: FRAME.data,
      number: 2 ** 32 - 1,
    });
    const { head, body } = decodeHead(decoded(encodeHead(FRAME.request, ['/é', 'POST', 'x-a', 'ÿ'], 'body é')));
    expect(head).toEqual(['/é', 'POST', 'x-a', 'ÿ']);
    expect(Buffer.from(body).toString()).toBe('body é');
  });

  it('say whether the body is whole', () => {
    expect(decoded(encodeHead(FRAME.response, [200, [], null], '')).isLast).toBe(true);
    expect(decoded(encodeHead(FRAME.response, [200, [], null], undefined)).isLast).toBe(false);
  });

  it('are nothing when cut short, and a damaged head is an error', () => {
    expect(decodeFrame(new Uint8Array(5))).toBe(undefined);
    const head = encodeHead(FRAME.request, ['/a'], 'x');
    head[2] = 200;
    expect(() => decodeHead(decoded(head))).toThrow(/no head/);
    expect(() => decodeHead(decoded(encodeFrame(FRAME.request, 2, Buffer.from('{}'))))).toThrow(/no head/);
    expect(() => decodeHead(decoded(encodeFrame(FRAME.request, 4000, Buffer.from('[]'))))).toThrow(/no head/);
  });
});

it('pieces that come twice and pieces that are missing are told apart', () => {
  const counter = new PieceCounter();
  expect([0, 1, 1, 0, 3, 2].map((n) => counter.take(n))).toEqual(['next', 'next', 'again', 'again', 'gap', 'next']);
});

describe('a stream', () => {
  it('stops at its window and goes on by what its reader took', () => {
    const sent: Frame[] = [];
    const outgoing = new OutgoingBody(
      (frame) => sent.push(decoded(frame)),
      () => {},
    );
    let pieces = 0;
    while (outgoing.room() === undefined) {
      outgoing.write(new Uint8Array(PIECE_BYTES));
      pieces++;
    }
    expect(pieces).toBe(WINDOW_BYTES / PIECE_BYTES);
    outgoing.credit(1);
    expect(outgoing.room()).toBe(undefined);
    outgoing.write(new Uint8Array(PIECE_BYTES));
    expect(outgoing.room()).toBeInstanceOf(Promise);
    expect(sent.map(({ number }) => number)).toEqual(Array.from({ length: pieces + 1 }, (_, i) => i));
  });

  it('refuses a sender that goes on without credit', () => {
    const incoming = new IncomingBody(() => {});
    const results = Array.from({ length: 6 }, (_, i) => incoming.receive(i, new Uint8Array(PIECE_BYTES)));
    expect(results).toEqual([true, true, true, true, false, false]);
  });

  it('gives credit for what was read, half a window at a time', () => {
    const credits: number[] = [];
    const incoming = new IncomingBody((frame) => credits.push(decoded(frame).number));
    for (let i = 0; i < 4; i++) incoming.receive(i, new Uint8Array(PIECE_BYTES));
    for (let i = 0; i < 4; i++) incoming.read();
    expect(credits).toEqual([WINDOW_BYTES / 2, WINDOW_BYTES / 2]);
    expect(incoming.receive(4, new Uint8Array(1))).toBe(true);
  });

  it('that ends with another number of pieces than came is not whole', () => {
    const incoming = new IncomingBody(() => {});
    incoming.receive(0, new Uint8Array(1));
    expect(incoming.finish(2)).toBe(false);
    expect(incoming.finish(1)).toBe(true);
  });
});
