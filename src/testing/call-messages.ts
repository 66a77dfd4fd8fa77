/** Requests and answers: what arrives is what was sent, and what cannot be sent is refused. */
import assert from 'node:assert/strict';
import { headerEntries } from '../core/headers.js';
import type { CallRequest, IncomingCall } from '../core/transport/call.js';
import type { CallSession, CallTraits } from './call-harness.js';
import { answered, collect, failed, PATH, startCall } from './call-recorder.js';
import { assertBytes, type CaseTable, patternOf } from './conformance.js';

export function callMessages(traits: CallTraits): CaseTable<CallSession> {
  return {
    'a request and its answer arrive as they were sent': async (session) => {
      let seen: IncomingCall | undefined;
      const { endpoint } = await session.serve(async (call) => {
        seen = call;
        return { status: 200, headers: ['x-answer', 'yes'], body: `got ${Buffer.from(await collect(call.body)).toString()}` };
      });
      const sink = await answered(
        session,
        startCall(session, endpoint, { method: 'POST', headers: ['x-ask', 'why'], body: 'hello' }),
      );
      assert.equal(sink.status, 200);
      assert.equal(sink.text, 'got hello');
      assert.deepEqual(sink.values('x-answer'), ['yes']);
      assert.equal(seen?.path, PATH);
      assert.equal(seen?.method, 'POST');
      assert.ok(headerEntries(seen?.headers ?? []).some(([name, value]) => name === 'x-ask' && value === 'why'));
      assert.equal(seen?.signal.aborted, false);
    },

    'the phases are told in order, before the end': async (session) => {
      const { endpoint } = await session.serve(async (call) => ({ status: 200, body: await collect(call.body) }));
      const { log } = await answered(session, startCall(session, endpoint, { method: 'POST', body: 'hello' }));
      assert.deepEqual(
        log.filter((what) => what !== 'data'),
        ['connected', 'sent', 'response', 'end'],
      );
    },

    'the method is GET without a body and POST with one, any other as given': traits.http
      ? async (session) => {
          const { endpoint } = await session.serve(({ method }) => ({ status: 200, body: method }));
          const method = async (request: Partial<CallRequest>) =>
            (await answered(session, startCall(session, endpoint, request))).text;
          assert.equal(await method({}), 'GET');
          assert.equal(await method({ body: 'x' }), 'POST');
          assert.equal(await method({ method: 'DELETE' }), 'DELETE');
          assert.equal(await method({ method: 'PUT', body: 'x' }), 'PUT');
        }
      : undefined,

    'a status is carried as given': traits.http
      ? async (session) => {
          const { endpoint } = await session.serve(({ path }) => ({ status: Number(path.slice(1)), body: 'said' }));
          for (const status of [200, 201, 404, 429, 500, 503, 599]) {
            const sink = await answered(session, startCall(session, endpoint, { path: `/${status}` }));
            assert.equal(sink.status, status);
            assert.equal(sink.text, 'said');
          }
        }
      : undefined,

    'the path keeps its query and escapes': traits.http
      ? async (session) => {
          const { endpoint } = await session.serve(({ path }) => ({ status: 200, body: path }));
          for (const path of ['/', '/a/b?x=1&y=%2F#', '/%00/..%2f', '//double', `/${'p'.repeat(2000)}`]) {
            const expected = path.replace(/#$/, '');
            const { text } = await answered(session, startCall(session, endpoint, { path: expected }));
            assert.equal(text, expected);
          }
        }
      : undefined,

    'headers of many values keep their order, both ways': async (session) => {
      let seen: string[] = [];
      const { endpoint } = await session.serve(async (call) => {
        await collect(call.body);
        seen = headerEntries(call.headers)
          .filter(([name]) => name === 'x-many')
          .map(([, value]) => value);
        return { status: 200, headers: ['x-many', 'c', 'X-Many', 'd', 'x-other', 'e', 'x-many', 'c'] };
      });
      const headers = ['x-many', 'b', 'X-Other', 'o', 'X-Many', 'a', 'x-many', 'b'];
      const sink = await answered(session, startCall(session, endpoint, { method: 'POST', headers, body: 'x' }));
      // A field that occurs more than once may come as one line (RFC 9110, section 5.3).
      assert.deepEqual(seen.join(', '), 'b, a, b');
      assert.deepEqual(sink.values('x-many').join(', '), 'c, d, c');
    },

    'an array of headers is the caller’s again once start has returned': async (session) => {
      const { endpoint } = await session.serve(async (call) => {
        await collect(call.body);
        return { status: 200, headers: ['x-seen', headerEntries(call.headers).find(([name]) => name === 'x-a')?.[1] ?? 'none'] };
      });
      const headers = ['x-a', 'mine'];
      const sink = startCall(session, endpoint, { method: 'POST', headers, body: 'x' });
      headers[1] = 'reused';
      assert.deepEqual((await answered(session, sink)).values('x-seen'), ['mine']);
    },

    'bodies of every byte, of no byte and of megabytes arrive whole, both ways': async (session) => {
      const { endpoint } = await session.serve(async (call) => ({ status: 200, body: await collect(call.body) }));
      for (const length of [0, 1, 256, 65_537, Math.min(4 * 1024 * 1024, traits.maxBodyBytes)]) {
        const body = patternOf(length, length);
        const sink = await answered(session, startCall(session, endpoint, { method: 'POST', body }));
        assertBytes(sink.body, body, `${length} bytes`);
      }
    },

    'a text goes as UTF-8': async (session) => {
      const { endpoint } = await session.serve(async (call) => ({
        status: 200,
        body: Buffer.from(await collect(call.body)).toString(),
      }));
      const sink = await answered(session, startCall(session, endpoint, { method: 'POST', body: 'grün \u{1f40b}' }));
      assert.equal(sink.text, 'grün \u{1f40b}');
    },

    'pieces that the sink keeps stay what they were': async (session) => {
      const { endpoint } = await session.serve(() => ({ status: 200, body: fourPieces() }));
      const sink = await answered(session, startCall(session, endpoint, { method: 'POST', body: 'x' }));
      assertBytes(sink.body, Buffer.concat([1, 2, 3, 4].map((n) => Buffer.alloc(1000, n))), 'the body');
    },

    'an answer without a body is an empty one': async (session) => {
      const { endpoint } = await session.serve(async (call) => {
        await collect(call.body);
        return { status: 200 };
      });
      const sink = await answered(session, startCall(session, endpoint, { method: 'POST', body: 'x' }));
      assert.equal(sink.bytes, 0);
    },

    'trailers come with the end, read when the body has ended': traits.trailers
      ? async (session) => {
          let produced = 0;
          const body = async function* () {
            for (; produced < 3; produced++) yield 'x';
          };
          const { endpoint } = await session.serve(async (call) => {
            await collect(call.body);
            return { status: 200, body: body(), trailers: () => ['x-produced', String(produced), 'x-two', 'b'] };
          });
          const sink = await answered(session, startCall(session, endpoint, { method: 'POST', body: 'x' }));
          assert.equal(sink.text, 'xxx');
          assert.deepEqual(sink.values('x-produced', sink.trailers), ['3']);
          assert.deepEqual(sink.values('x-two', sink.trailers), ['b']);
        }
      : undefined,

    'a malformed request is invalid-argument, told to the sink, and never reaches a server': async (session) => {
      let calls = 0;
      const { endpoint } = await session.serve(() => {
        calls++;
        return { status: 200 };
      });
      const bad: [string, unknown][] = [
        ['a path without a slash', { path: 'a' }],
        ['an empty path', { path: '' }],
        ['a path with a space', { path: '/a b' }],
        ['a path with a line feed', { path: '/a\nb' }],
        ['a path beyond ASCII', { path: '/ü' }],
        ['no path', { path: undefined }],
        ['a method with a space', { method: 'G ET' }],
        ['an empty method', { method: '' }],
        ['a header name without a value', { headers: ['x-a'] }],
        ['a header name with a colon', { headers: ['x:a', '1'] }],
        ['an empty header name', { headers: ['', '1'] }],
        ['a header value with CR LF', { headers: ['x-a', '1\r\nx-b: 2'] }],
        ['a header value with a line feed', { headers: ['x-a', '1\n2'] }],
        ['a header value with a NUL', { headers: ['x-a', '1\0'] }],
        ['a header value beyond Latin-1', { headers: ['x-a', '\u{1f40b}'] }],
        ['a header value that is no string', { headers: ['x-a', 1] }],
        ['headers in an object', { headers: { 'x-a': '1' } }],
        ['a body that is none', { body: 7 }],
        ['a body of objects', { body: { a: 1 } }],
      ];
      for (const [what, request] of bad) {
        const error = await failed(session, startCall(session, endpoint, request as Partial<CallRequest>), 'invalid-argument');
        assert.equal(error.rejected, false, what);
      }
      assert.equal(calls, 0);
      assert.equal((await answered(session, startCall(session, endpoint, { method: 'POST', body: 'x' }))).status, 200);
    },

    'a hundred calls at once keep apart': async (session) => {
      const { endpoint } = await session.serve(async (call) => {
        const body = await collect(call.body);
        return { status: 200, headers: ['x-index', String(body[0])], body };
      });
      const sinks = Array.from({ length: 100 }, (_, i) => {
        const body = patternOf(1 + ((i * 977) % 50_000), i);
        return { body, sink: startCall(session, endpoint, { method: 'POST', body }) };
      });
      for (const { sink, body } of sinks) {
        await answered(session, sink);
        assertBytes(sink.body, body, 'an echo');
        assert.deepEqual(sink.values('x-index'), [String(body[0])]);
      }
    },
  };
}

async function* fourPieces(): AsyncGenerator<Uint8Array> {
  for (let n = 1; n <= 4; n++) yield new Uint8Array(1000).fill(n);
}
