/** Calls that end otherwise: cancelled, failed, lost. */
import assert from 'node:assert/strict';
import type { Endpoint } from '../core/endpoint.js';
import type { CallSession } from './call-harness.js';
import { answered, collect, ended, failed, gate, PATH, Recorder, startCall } from './call-recorder.js';
import { type CaseTable, eventually } from './conformance.js';

/** A server whose calls say what became of them. */
async function slowServer(session: CallSession) {
  const state = { calls: 0, aborted: 0, bodyErrors: 0, returned: 0 };
  const { endpoint, listener } = await session.serve((call) => {
    state.calls++;
    call.signal.addEventListener('abort', () => state.aborted++, { once: true });
    void collect(call.body).catch(() => state.bodyErrors++);
    if (call.path.endsWith('Unary')) return new Promise(() => {});
    return {
      status: 200,
      body: (async function* () {
        try {
          for (;;) {
            yield 'tick;';
            await session.clock.sleep(10);
          }
        } finally {
          state.returned++;
        }
      })(),
    };
  });
  return { endpoint, listener, state };
}

const UNARY = `${PATH}Unary`;

async function* endless(session: CallSession): AsyncGenerator<string> {
  for (;;) {
    yield 'tick;';
    await session.clock.sleep(10);
  }
}

export function callEndings(): CaseTable<CallSession> {
  return {
    'an endpoint where nobody listens is unavailable, safe to retry, and not a rejection': async (session) => {
      let isPulled = false;
      const body = (async function* () {
        isPulled = true;
        yield 'x';
      })();
      const sink = startCall(session, session.unknown, { method: 'POST', body });
      const error = await failed(session, sink, 'unavailable');
      assert.equal(error.retryable, 'yes');
      assert.equal(error.rejected, false);
      assert.equal(isPulled, false, 'a body that was pulled cannot be sent again');
      assert.deepEqual(sink.log, ['error unavailable']);
    },

    'cancelling before the answer ends the call with cancelled and aborts the handler’s signal': async (session) => {
      const { endpoint, state } = await slowServer(session);
      const sink = startCall(session, endpoint, { path: UNARY, method: 'POST', body: 'x' });
      await eventually(session, 'the handler runs', () => state.calls === 1);
      sink.handle?.cancel('cancelled');
      const error = await failed(session, sink, 'cancelled');
      assert.equal(error.retryable, 'unknown');
      await eventually(session, 'the handler heard', () => state.aborted === 1);
    },

    'cancelling for the deadline ends the call with deadline-exceeded': async (session) => {
      const { endpoint, state } = await slowServer(session);
      const sink = startCall(session, endpoint, { path: UNARY, method: 'POST', body: 'x' });
      await eventually(session, 'the handler runs', () => state.calls === 1);
      sink.handle?.cancel('deadline-exceeded');
      await failed(session, sink, 'deadline-exceeded');
      await eventually(session, 'the handler heard', () => state.aborted === 1);
    },

    'cancelling in the same turn as start reaches the sink once': async (session) => {
      const { endpoint, state } = await slowServer(session);
      const sink = startCall(session, endpoint, { path: UNARY, method: 'POST', body: 'x' });
      sink.handle?.cancel('cancelled');
      sink.handle?.cancel('deadline-exceeded');
      await failed(session, sink, 'cancelled');
      await session.advance(50);
      assert.equal(state.calls, state.aborted, 'a handler was left running');
    },

    'cancelling in the middle of both streams stops both sides': async (session) => {
      const { endpoint, state } = await slowServer(session);
      let isReturned = false;
      const body = (async function* () {
        try {
          yield* endless(session);
        } finally {
          isReturned = true;
        }
      })();
      const sink = startCall(session, endpoint, { method: 'POST', body });
      await eventually(session, 'both stream', () => sink.bytes > 10);
      sink.handle?.cancel('cancelled');
      await failed(session, sink, 'cancelled');
      await eventually(session, 'the request is returned', () => isReturned);
      await eventually(session, 'the answer is returned', () => state.returned === 1);
      await eventually(session, 'the handler’s signal aborts', () => state.aborted === 1);
      await eventually(session, 'the handler’s reading fails', () => state.bodyErrors === 1);
    },

    'cancelling from inside onData ends the call there': async (session) => {
      const { endpoint, state } = await slowServer(session);
      const sink = startCall(session, endpoint, { method: 'POST', body: 'x' });
      sink.onPiece = () => sink.handle?.cancel('cancelled');
      await failed(session, sink, 'cancelled');
      assert.equal(sink.chunks.length, 1);
      await eventually(session, 'the answer is returned', () => state.returned === 1);
    },

    'cancelling while paused ends the call at once': async (session) => {
      const { endpoint } = await slowServer(session);
      const sink = startCall(session, endpoint, { method: 'POST', body: 'x' });
      await eventually(session, 'it streams', () => sink.bytes > 0);
      sink.handle?.pause();
      await session.advance(50);
      sink.handle?.cancel('deadline-exceeded');
      await failed(session, sink, 'deadline-exceeded');
    },

    'after the end, cancel, pause and resume do nothing': async (session) => {
      const { endpoint } = await session.serve(async (call) => ({ status: 200, body: await collect(call.body) }));
      const sink = await answered(session, startCall(session, endpoint, { method: 'POST', body: 'x' }));
      sink.handle?.cancel('cancelled');
      sink.handle?.pause();
      sink.handle?.resume();
      sink.handle?.cancel('deadline-exceeded');
      await ended(session, sink);
      assert.equal(sink.error, undefined);
    },

    'a signal of the handler does not abort when its answer went out': async (session) => {
      let aborted = 0;
      const { endpoint } = await session.serve(async (call) => {
        call.signal.addEventListener('abort', () => aborted++);
        return { status: 200, body: await collect(call.body) };
      });
      await answered(session, startCall(session, endpoint, { method: 'POST', body: 'x' }));
      await session.advance(50);
      assert.equal(aborted, 0);
    },

    'a handler that throws before it answers gives status 500, and tells nothing of why': async (session) => {
      const { endpoint } = await session.serve(async (call) => {
        await collect(call.body);
        if (call.path.endsWith('Unary')) throw new Error('a secret of the server');
        return { status: 99, body: 'not a status' };
      });
      for (const path of [UNARY, PATH]) {
        const sink = await ended(session, startCall(session, endpoint, { path, method: 'POST', body: 'x' }));
        assert.ok(sink.status === 500 || sink.error?.code === 'internal' || sink.trailers !== undefined, sink.log.join(', '));
        assert.ok(!sink.text.includes('secret'));
      }
    },

    'a handler that throws at once gives status 500 too': async (session) => {
      const { endpoint } = await session.serve(() => {
        throw new Error('at once');
      });
      const sink = await ended(session, startCall(session, endpoint, { method: 'POST', body: 'x' }));
      assert.ok(sink.status === 500 || sink.error?.code === 'internal' || sink.trailers !== undefined, sink.log.join(', '));
    },

    'an answer that breaks off is an error, never an end, and may have been acted on': async (session) => {
      const { endpoint } = await session.serve(async (call) => {
        await collect(call.body);
        return {
          status: 200,
          body: (async function* () {
            yield 'half';
            await session.clock.sleep(20);
            throw new Error('an answer of the conformance suite');
          })(),
        };
      });
      const sink = startCall(session, endpoint, { method: 'POST', body: 'x' });
      const error = await failed(session, sink, 'internal', 'unavailable');
      assert.equal(error.retryable, 'unknown');
      assert.ok(sink.log.includes('response'));
    },

    'a sink that throws ends its call with internal, and the transport stays up': async (session) => {
      const { endpoint, state } = await slowServer(session);
      for (const at of ['onPhase', 'onResponse', 'onData'] as const) {
        const sink = new Recorder();
        sink[at] = () => {
          throw new Error(`${at} of the conformance suite`);
        };
        startCall(session, endpoint, { method: 'POST', body: 'x' }, sink);
        await failed(session, sink, 'internal');
      }
      await eventually(session, 'no answer is left running', () => state.returned === state.calls || state.aborted > 0);
      const good = startCall(session, endpoint, { method: 'POST', body: 'x' });
      await eventually(session, 'another call streams', () => good.bytes > 0);
      good.handle?.cancel('cancelled');
      await failed(session, good, 'cancelled');
    },

    'a sink that throws at the end hears nothing more, and the transport stays up': async (session) => {
      const { endpoint } = await session.serve(async (call) => ({ status: 200, body: await collect(call.body) }));
      const told: string[] = [];
      class Thrower extends Recorder {
        override onEnd(): void {
          told.push('end');
          throw new Error('onEnd of the conformance suite');
        }
        override onError(): void {
          told.push('error');
          throw new Error('onError of the conformance suite');
        }
      }
      startCall(session, endpoint, { method: 'POST', body: 'x' }, new Thrower());
      await eventually(session, 'the end', () => told.length > 0);
      startCall(session, session.unknown, { method: 'POST', body: 'x' }, new Thrower());
      await eventually(session, 'the error', () => told.length > 1);
      await session.advance(50);
      assert.deepEqual(told, ['end', 'error']);
      await answered(session, startCall(session, endpoint, { method: 'POST', body: 'x' }));
    },

    'an endpoint that is none is an error of the call, not a throw': async (session) => {
      for (const to of [undefined, null, {}, { id: 'x', address: 7 }, { id: 'x', address: 'nonsense' }]) {
        const sink = startCall(session, to as unknown as Endpoint, { method: 'POST', body: 'x' });
        await failed(session, sink, 'invalid-argument', 'unavailable');
      }
    },

    'a server that goes away ends its calls with unavailable': async (session) => {
      const { endpoint, listener, state } = await slowServer(session);
      const streaming = startCall(session, endpoint, { method: 'POST', body: 'x' });
      const waiting = startCall(session, endpoint, { path: UNARY, method: 'POST', body: 'x' });
      await eventually(session, 'both run', () => state.calls === 2 && streaming.bytes > 0);
      const closed = listener.close();
      for (const sink of [streaming, waiting]) {
        const error = await failed(session, sink, 'unavailable');
        assert.equal(error.retryable, 'unknown');
      }
      await closed;
      const late = await failed(session, startCall(session, endpoint, { method: 'POST', body: 'x' }), 'unavailable');
      assert.equal(late.retryable, 'yes');
      await eventually(session, 'handlers heard', () => state.aborted === 2);
    },

    'calls of one endpoint outlive the failure of another': async (session) => {
      const one = await slowServer(session);
      const release = gate();
      const { endpoint } = await session.serve(async (call) => {
        await collect(call.body);
        await release.opened;
        return { status: 200, body: 'kept' };
      });
      const kept = startCall(session, endpoint, { method: 'POST', body: 'x' });
      const lost = startCall(session, one.endpoint, { method: 'POST', body: 'x' });
      await eventually(session, 'it streams', () => lost.bytes > 0);
      await one.listener.close();
      await failed(session, lost, 'unavailable');
      release.open();
      assert.equal((await answered(session, kept)).text, 'kept');
    },
  };
}
