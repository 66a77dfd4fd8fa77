import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { virtualClock } from 'evenkeel/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Protocol, sniff } from '../../src/cli/proxy/sniff.js';

const PREFACE = 'PRI * HTTP/2.0\r\n';

/** Requests, prefaces, beginnings of prefaces that go on otherwise, and anything. */
const beginnings = fc.oneof(
  fc.constant(PREFACE),
  fc.constantFrom('GET / HTTP/1.1\r\n', 'P', 'PUT / HTTP/1.1\r\n', 'PRI'),
  fc.nat(PREFACE.length).map((length) => PREFACE.slice(0, length)),
);

it('tells the protocol by the first bytes, however they are cut, and gives all of them back', async () => {
  await fc.assert(
    fc.asyncProperty(
      beginnings,
      fc.uint8Array({ minLength: 20, maxLength: 40 }),
      fc.array(fc.nat(8)),
      async (begin, rest, cuts) => {
        const bytes = Buffer.concat([Buffer.from(begin, 'latin1'), rest]);
        const socket = new PassThrough();
        const taken = new Promise<Protocol>((resolve) => sniff(socket as unknown as Socket, virtualClock(), 1000, resolve));
        let at = 0;
        for (const cut of cuts) {
          socket.write(bytes.subarray(at, at + cut));
          at += cut;
          await new Promise((resolve) => setImmediate(resolve));
        }
        socket.end(bytes.subarray(at));
        const protocol = await taken;
        expect(protocol).toBe(bytes.subarray(0, PREFACE.length).toString('latin1') === PREFACE ? 'http2' : 'http1');
        expect(Buffer.concat(await socket.toArray()).equals(bytes)).toBe(true);
      },
    ),
  );
});
