/** The latency tax over real sockets, with node's own server on the other end. */
import { staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createLatencyTax, createLoadReporter, createRouter, type LatencyTax, type TaxPart } from 'evenkeel/router';
import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import { httpServer } from '../support/http-servers.js';

async function measured(tax: LatencyTax, address: string, calls: number): Promise<void> {
  const transport = createHttpTransport({ undici });
  const router = createRouter({ service: 's', resolver: staticResolver([address]), transport, tax, timeoutMs: 10_000 });
  for (let i = 0; i < calls; i++) {
    const streamed = i % 2 === 0;
    const response = await router.call({ path: `/m${i % 3}`, body: 'x'.repeat(5000), response: streamed ? 'stream' : 'buffer' });
    expect((await response.bytes()).length).toBe(20_000);
  }
  await router.drain();
  await transport.drain();
}

describe('over real sockets', () => {
  it('the parts add up to the total within one per cent, and a server of node:http tells its own', async () => {
    const reporter = createLoadReporter();
    const body = Buffer.alloc(20_000);
    const server = await httpServer(
      reporter.node(async (request, response, call) => {
        for await (const _ of request);
        call.mark('begun');
        for (let until = process.hrtime.bigint() + 2_000_000n; process.hrtime.bigint() < until; );
        call.mark('done');
        response.end(body);
      }),
    );
    const tax = createLatencyTax({ sampleEvery: 1 });
    await measured(tax, server.address, 30);
    await server.close();
    const { all, byMethod, cpuUs, outcomes } = tax.report();
    expect(byMethod.map(({ name }) => name).sort()).toEqual(['/m0', '/m1', '/m2']);
    expect(all).toMatchObject({ attempts: 30, told: 30 });
    const sum = Object.values(all.parts).reduce((ms, { mean }) => ms + mean, 0);
    expect(Math.abs(sum / all.totalMs.mean - 1)).toBeLessThan(0.01);
    expect(all.parts.application.mean).toBeGreaterThanOrEqual(2);
    // The first call has made the connection.
    for (const part of ['connect', 'send', 'receive', 'wireRequest'] satisfies TaxPart[]) {
      expect(all.parts[part].mean, part).toBeGreaterThan(0);
    }
    expect(all.tax).toBeGreaterThan(0);
    expect(all.tax).toBeLessThan(1);
    expect(all.bytesRatio.mean).toBe(4);
    expect(cpuUs.process).toBeGreaterThan(0);
    expect(cpuUs.network).toBeGreaterThan(0);
    expect(cpuUs.rpcLibrary).toBeGreaterThan(0);
    expect(outcomes.ok?.attempts).toBe(30);
  });

  it('a server that does not tell, or whose reporter must not, is untold', async () => {
    const reporter = createLoadReporter({ timing: false });
    const server = await httpServer(
      reporter.node((request, response) => {
        request.resume();
        request.on('end', () => response.end(Buffer.alloc(20_000)));
      }),
    );
    const tax = createLatencyTax();
    await measured(tax, server.address, 4);
    await server.close();
    expect(tax.report().all).toMatchObject({ attempts: 4, told: 0, tax: null });
    expect(tax.report().all.parts.untold.mean).toBeGreaterThan(0);
  });

  it('handlers of the fetch style tell as well', async () => {
    const reporter = createLoadReporter();
    const answer = await reporter.fetch(() => new Response('hello'))(
      new Request('http://a/x', { headers: { 'evenkeel-depth': '2' } }),
    );
    expect(answer.headers.get('server-timing')).toMatch(/^q;dur=0, app;dur=[\d.]+, ser;dur=[\d.]+$/);
    expect(answer.headers.get('evenkeel-descendants')).toBe('0');
    const silent = await reporter.fetch(() => new Response('hello'))(new Request('http://a/x'));
    expect(silent.headers.get('server-timing')).toBeNull();
  });
});
