/** drain, close, forget: of transports and of listeners. */
import assert from 'node:assert/strict';
import type { CallSession } from './call-harness.js';
import { answered, collect, failed, gate, startCall } from './call-recorder.js';
import { type CaseTable, eventually, settled } from './conformance.js';

/** A server that answers when told to. */
async function heldServer(session: CallSession) {
  const release = gate();
  const state = { calls: 0 };
  const { endpoint, listener } = await session.serve(async (call) => {
    state.calls++;
    const body = await collect(call.body);
    await release.opened;
    return { status: 200, body };
  });
  const post = () => startCall(session, endpoint, { method: 'POST', body: 'x' });
  const running = async () => {
    const sink = post();
    const before = state.calls;
    await eventually(session, 'the handler runs', () => state.calls > before);
    return sink;
  };
  return { endpoint, listener, release, state, post, running };
}

export function callLifecycle(): CaseTable<CallSession> {
  return {
    'a draining transport refuses new calls and finishes old ones': async (session) => {
      const server = await heldServer(session);
      const old = await server.running();
      let isDrained = false;
      const drained = session.transport.drain().then(() => {
        isDrained = true;
      });
      const refused = await failed(session, server.post(), 'unavailable');
      assert.equal(refused.retryable, 'yes');
      assert.equal(isDrained, false, 'drained with a call in flight');
      server.release.open();
      assert.equal((await answered(session, old)).text, 'x');
      await settled(session, 'drained', drained);
      await settled(session, 'drained again', session.transport.drain());
    },

    'draining an idle transport is immediate': async (session) => {
      await settled(session, 'drained', session.transport.drain());
    },

    'closing ends calls in flight with unavailable and is idempotent': async (session) => {
      const server = await heldServer(session);
      const calls = [await server.running(), await server.running()];
      const closing = Promise.all([session.transport.close(), session.transport.close()]);
      for (const sink of calls) {
        const error = await failed(session, sink, 'unavailable');
        assert.equal(error.retryable, 'unknown');
      }
      await settled(session, 'closed', closing);
      await settled(session, 'closed again', session.transport.close());
      server.release.open();
    },

    'close ends the calls of a forgotten endpoint': async (session) => {
      const server = await heldServer(session);
      const old = await server.running();
      session.transport.forget(server.endpoint);
      await settled(session, 'closed', session.transport.close());
      const error = await failed(session, old, 'unavailable');
      assert.equal(error.retryable, 'unknown');
      server.release.open();
    },

    'closing ends a drain that waits': async (session) => {
      const server = await heldServer(session);
      const old = await server.running();
      const drained = session.transport.drain();
      await settled(session, 'closed', session.transport.close());
      await failed(session, old, 'unavailable');
      await settled(session, 'drained', drained);
      server.release.open();
    },

    'a call started on a closed transport is refused through its sink': async (session) => {
      const server = await heldServer(session);
      await session.transport.close();
      const error = await failed(session, server.post(), 'unavailable');
      assert.equal(error.retryable, 'yes');
      assert.equal(server.state.calls, 0);
    },

    'a draining listener takes no new calls and finishes old ones': async (session) => {
      const server = await heldServer(session);
      const old = await server.running();
      let isDrained = false;
      const drained = server.listener.drain().then(() => {
        isDrained = true;
      });
      await session.advance(50);
      assert.equal(isDrained, false, 'drained with a call in flight');
      server.release.open();
      assert.equal((await answered(session, old)).text, 'x');
      await settled(session, 'drained', drained);
      await failed(session, server.post(), 'unavailable');
      await settled(session, 'drained again', server.listener.drain());
    },

    'closing a listener twice is closing it once': async (session) => {
      const { listener } = await heldServer(session);
      await settled(session, 'closed', Promise.all([listener.close(), listener.close()]));
      await settled(session, 'closed again', listener.close());
      await settled(session, 'drained after close', listener.drain());
    },

    'forgetting an endpoint lets its calls finish, and it may be called again': async (session) => {
      const server = await heldServer(session);
      const old = await server.running();
      session.transport.forget(server.endpoint);
      session.transport.forget(session.unknown);
      server.release.open();
      assert.equal((await answered(session, old)).text, 'x');
      assert.equal((await answered(session, server.post())).text, 'x');
    },
  };
}
