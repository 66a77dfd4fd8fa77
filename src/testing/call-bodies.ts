/** Bodies that stream: both ways at once, and no faster than they are read. */
import assert from 'node:assert/strict';
import type { CallSession, CallTraits } from './call-harness.js';
import { answered, collect, ended, failed, gate, startCall } from './call-recorder.js';
import { assertBytes, type CaseTable, eventually, patternOf } from './conformance.js';

const PIECE = 16 * 1024;

/** Counts what it has been asked for; ends after `total` bytes. */
function meter(total: number) {
  const state = { produced: 0, isReturned: false };
  async function* produce(): AsyncGenerator<Uint8Array> {
    try {
      while (state.produced < total) {
        const piece = patternOf(Math.min(PIECE, total - state.produced), state.produced / PIECE);
        state.produced += piece.byteLength;
        yield piece;
      }
    } finally {
      state.isReturned = true;
    }
  }
  return { state, body: produce() };
}

export function callBodies(traits: CallTraits): CaseTable<CallSession> {
  const { maxBufferedBytes } = traits;
  const much = 4 * maxBufferedBytes;
  /** Until nothing moves any more. */
  const stalled = async (session: CallSession, reading: () => number) => {
    for (let last = -1, same = 0; same < 5; ) {
      await session.advance(20);
      same = reading() === last ? same + 1 : 0;
      last = reading();
    }
  };

  return {
    'a streamed request arrives whole, in order': async (session) => {
      const { endpoint } = await session.serve(async (call) => ({ status: 200, body: await collect(call.body) }));
      const pieces = [patternOf(1), 'text', patternOf(70_000, 3), new Uint8Array(), patternOf(10)];
      const body = (async function* () {
        yield* pieces;
      })();
      const sink = await answered(session, startCall(session, endpoint, { method: 'POST', body }));
      assertBytes(sink.body, Buffer.concat(pieces.map((piece) => Buffer.from(piece))), 'the echo');
    },

    'a streamed answer arrives piece by piece, while it is being made': async (session) => {
      const next = Array.from({ length: 4 }, gate);
      const { endpoint } = await session.serve(() => ({
        status: 200,
        body: (async function* () {
          for (const [i, { opened }] of next.entries()) {
            await opened;
            yield `piece ${i};`;
          }
        })(),
      }));
      const sink = startCall(session, endpoint, { method: 'POST', body: 'x' });
      await eventually(session, 'the response begins before its body', () => sink.status === 200);
      for (const [i, { open }] of next.entries()) {
        assert.equal(sink.text.split(';').length - 1, i);
        open();
        await eventually(session, `piece ${i}`, () => sink.text.includes(`piece ${i};`));
      }
      await answered(session, sink);
    },

    'request and answer stream at the same time': async (session) => {
      const { endpoint } = await session.serve((call) => ({
        status: 200,
        body: (async function* () {
          for await (const chunk of call.body) yield chunk;
        })(),
      }));
      const turns = Array.from({ length: 5 }, gate);
      const body = (async function* () {
        for (const [i, { opened }] of turns.entries()) {
          await opened;
          yield `turn ${i};`;
        }
      })();
      const sink = startCall(session, endpoint, { method: 'POST', body });
      for (const [i, { open }] of turns.entries()) {
        open();
        await eventually(session, `the echo of turn ${i}`, () => sink.text.endsWith(`turn ${i};`));
      }
      await answered(session, sink);
      assert.equal(sink.text, 'turn 0;turn 1;turn 2;turn 3;turn 4;');
    },

    'megabytes stream both ways at once': async (session) => {
      const total = 4 * 1024 * 1024;
      const { endpoint } = await session.serve((call) => ({ status: 200, body: call.body }));
      const sink = await answered(session, startCall(session, endpoint, { method: 'POST', body: meter(total).body }));
      assertBytes(sink.body, await collect(meter(total).body), 'the echo');
    },

    'a paused reader stops the server within a bounded number of bytes, and resume lets it go on': async (session) => {
      const source = meter(much);
      const { endpoint } = await session.serve(() => ({ status: 200, body: source.body }));
      const sink = startCall(session, endpoint, { method: 'POST', body: 'x' });
      sink.onPiece = () => {
        if (sink.chunks.length === 1) sink.handle?.pause();
      };
      await eventually(session, 'the first piece', () => sink.bytes > 0);
      await stalled(session, () => source.state.produced + sink.bytes);
      const ahead = source.state.produced - sink.bytes;
      assert.ok(ahead <= maxBufferedBytes, `the server is ${ahead} bytes ahead of a reader that stopped`);
      assert.ok(sink.bytes <= maxBufferedBytes, `${sink.bytes} bytes came after pause`);
      sink.handle?.resume();
      await answered(session, sink);
      assertBytes(sink.body, await collect(meter(much).body), 'the body');
    },

    'pausing and resuming at every piece loses nothing': async (session) => {
      const total = 40 * PIECE;
      const { endpoint } = await session.serve(() => ({ status: 200, body: meter(total).body }));
      const sink = startCall(session, endpoint, { method: 'POST', body: 'x' });
      sink.onPiece = () => {
        sink.handle?.pause();
        if (sink.chunks.length % 2 === 0) sink.handle?.resume();
        else session.clock.timer(1, () => sink.handle?.resume());
      };
      await answered(session, sink);
      assertBytes(sink.body, await collect(meter(total).body), 'the body');
    },

    'a handler that does not read stops the client within a bounded number of bytes': async (session) => {
      const read = gate();
      const { endpoint } = await session.serve(async (call) => {
        await read.opened;
        return { status: 200, body: String((await collect(call.body)).byteLength) };
      });
      const source = meter(much);
      const sink = startCall(session, endpoint, { method: 'POST', body: source.body });
      await stalled(session, () => source.state.produced);
      assert.ok(source.state.produced > 0, 'nothing was sent');
      assert.ok(source.state.produced <= maxBufferedBytes, `${source.state.produced} bytes were sent to nobody`);
      assert.ok(!sink.log.includes('sent'), 'the request is out whole, it was said');
      read.open();
      await answered(session, sink);
      assert.equal(sink.text, String(much));
    },

    'a request stream is not pulled before start returns, and is returned when the answer needs no more of it': async (
      session,
    ) => {
      const { endpoint } = await session.serve(() => ({ status: 200, body: 'enough' }));
      const source = meter(much);
      const sink = startCall(session, endpoint, { method: 'POST', body: source.body });
      assert.equal(source.state.produced, 0);
      await ended(session, sink);
      if (sink.error === undefined) assert.equal(sink.text, 'enough');
      await eventually(session, 'the stream is returned', () => source.state.isReturned);
      assert.ok(source.state.produced < much);
    },

    'a request stream that fails midway ends the call with cancelled, and the handler’s reading with an error': async (
      session,
    ) => {
      let seen: unknown = 'nothing';
      const { endpoint } = await session.serve(async (call) => {
        try {
          await collect(call.body);
          seen = 'the end';
        } catch (error) {
          seen = error;
        }
        return { status: 200 };
      });
      const boom = new Error('a body of the conformance suite');
      const body = (async function* () {
        yield 'first';
        await session.clock.sleep(50);
        throw boom;
      })();
      const error = await failed(session, startCall(session, endpoint, { method: 'POST', body }), 'cancelled');
      assert.equal(error.cause, boom);
      await eventually(session, 'the handler heard', () => seen !== 'nothing');
      assert.ok(seen instanceof Error, String(seen));
    },

    'a request stream of anything but bytes and text ends the call with invalid-argument': async (session) => {
      const { endpoint } = await session.serve(async (call) => ({ status: 200, body: await collect(call.body) }));
      const body = (async function* () {
        yield 7 as unknown as string;
      })();
      await failed(session, startCall(session, endpoint, { method: 'POST', body }), 'invalid-argument');
    },

    'a handler may leave a body unread or stop in the middle': async (session) => {
      const { endpoint } = await session.serve(async (call) => {
        for await (const _ of call.body) break;
        return { status: 200, body: 'enough' };
      });
      const sink = await ended(session, startCall(session, endpoint, { method: 'POST', body: 'a short body' }));
      assert.equal(sink.text, 'enough');
    },
  };
}
