import { describe, expect, it } from 'vitest';
import { exponential } from '../../../src/sim/distributions.js';
import { createSimulation } from '../../../src/sim/simulation.js';
import { call, echo, pair, runTo } from './world.js';

describe('a link', () => {
  it('takes its latency each way', () => {
    const { simulation, client, clock } = pair({ workMs: 5 });
    const ended = call(simulation, client, 'server');
    clock.runSync();
    expect(ended.text).toBe('200 7');
  });

  it('loses its share of messages, in silence', () => {
    const { simulation, client, clock, arrived } = pair({ link: { latencyMs: 1, loss: 0.1 } });
    const calls = Array.from({ length: 5000 }, () => call(simulation, client, 'server'));
    clock.runSync();
    expect(arrived.length / 5000, 'seed 1').toBeGreaterThan(0.88);
    expect(arrived.length / 5000, 'seed 1').toBeLessThan(0.92);
    const answered = calls.filter(({ text }) => text !== undefined);
    expect(answered.every(({ text }) => text?.startsWith('200'))).toBe(true);
    expect(answered.length / 5000, 'seed 1').toBeGreaterThan(0.79);
    expect(answered.length / 5000, 'seed 1').toBeLessThan(0.83);
  });

  it('delivers its share of calls twice; the caller hears of one answer', () => {
    const { simulation, client, clock, arrived } = pair({ link: { latencyMs: 1, duplicate: 0.25 } });
    const calls = Array.from({ length: 4000 }, () => call(simulation, client, 'server'));
    clock.runSync();
    expect(calls.every(({ text }) => text?.startsWith('200'))).toBe(true);
    expect(arrived.length / 4000, 'seed 1').toBeGreaterThan(1.22);
    expect(arrived.length / 4000, 'seed 1').toBeLessThan(1.28);
  });

  it('never delivers a stream twice: there is one copy of it', () => {
    const { simulation, client, clock, arrived } = pair({ link: { latencyMs: 1, duplicate: 1 } });
    call(simulation, client, 'server', {
      body: (async function* () {
        yield new Uint8Array(1);
      })(),
    });
    call(simulation, client, 'server', { body: new Uint8Array(1) });
    clock.runSync();
    expect(arrived).toHaveLength(3);
  });

  it('reorders calls, but not the pieces of one', () => {
    const simulation = createSimulation({ seed: 5, link: { latencyMs: exponential(3) } });
    const client = simulation.machine('client');
    const server = simulation.machine('server');
    const order: string[] = [];
    simulation.calls(server.process).listen('sim://server', (arrived) => {
      order.push(arrived.request.path);
      arrived.head(200, []);
      for (let piece = 0; piece < 20; piece++) arrived.data(Uint8Array.of(piece));
      arrived.end();
    });
    const pieces: number[][] = [];
    for (let i = 0; i < 30; i++) {
      const got: number[] = [];
      pieces.push(got);
      simulation.calls(client.process).start(
        { id: 's', address: 'sim://server' } as never,
        { path: `/${i}` },
        {
          onResponse: () => got.push(-1),
          onData: ([piece]) => got.push(piece as number),
          onEnd: () => got.push(-2),
          onError: () => got.push(-3),
        },
      );
    }
    simulation.clock.runSync();
    const sent = Array.from({ length: 30 }, (_, i) => `/${i}`);
    expect(order).not.toEqual(sent);
    expect([...order].sort()).toEqual([...sent].sort());
    for (const got of pieces) expect(got).toEqual([-1, ...Array.from({ length: 20 }, (_, i) => i), -2]);
  });

  it('of a call whose answer lost a piece nothing more arrives: no body has holes', () => {
    const { simulation, client, server, clock } = pair();
    const got: number[] = [];
    simulation.calls(server.process).listen('sim://server:9', (arrived) => {
      arrived.head(200, []);
      arrived.data(Uint8Array.of(1));
      simulation.network.setLink('server', 'client', { loss: 1 });
      arrived.data(Uint8Array.of(2));
      simulation.network.setLink('server', 'client', { loss: 0 });
      arrived.data(Uint8Array.of(3));
      arrived.end();
    });
    simulation.calls(client.process).start(
      { id: 's', address: 'sim://server:9' } as never,
      { path: '/' },
      {
        onResponse: () => got.push(0),
        onData: ([piece]) => got.push(piece as number),
        onEnd: () => got.push(-2),
        onError: () => got.push(-3),
      },
    );
    clock.runSync();
    expect(got).toEqual([0, 1]);
  });

  it('from a machine to itself is never cut and nearly free', () => {
    const { simulation, server, clock } = pair({ link: { latencyMs: 50, loss: 1 } });
    simulation.network.cut('*', '*');
    const ended = call(simulation, server, 'server');
    runTo(clock, 10);
    expect(ended.text).toBe('200 0.04');
  });

  it('is set for two machines, for localities around them, or for all; the more exact setting holds', () => {
    const simulation = createSimulation({ link: { latencyMs: 1 } });
    const a = simulation.machine('a', { locality: 'eu/west/1' });
    const b = simulation.machine('b', { locality: 'us/east/1' });
    const { network } = simulation;
    const transit = () => network.transit(a, b);
    expect(transit()).toBe(1);
    network.setLink('*', '*', { latencyMs: 2 });
    expect(transit()).toBe(2);
    network.setLink('eu', 'us', { latencyMs: 50 });
    expect(transit()).toBe(50);
    network.setLink('eu/west', 'us', { latencyMs: 40 });
    expect(transit()).toBe(40);
    network.setLink('a', 'b', { latencyMs: 30 });
    expect(transit()).toBe(30);
    expect(network.transit(b, a)).toBe(2);
    network.setDefault({ latencyMs: 9 });
    expect(transit()).toBe(30);
  });

  it('refuses a setting out of range, and a second machine of one name', () => {
    const simulation = createSimulation();
    simulation.machine('a');
    const refusal = expect.objectContaining({ code: 'invalid-argument' });
    expect(() => simulation.machine('a')).toThrow(refusal);
    expect(() => simulation.network.setDefault({ loss: 1.1 })).toThrow(refusal);
    expect(() => simulation.network.setLink('a', 'b', { latencyMs: -1 })).toThrow(refusal);
  });
});

describe('a cut', () => {
  it('of one direction loses what goes that way, until it heals', () => {
    const { simulation, client, clock, arrived } = pair();
    simulation.network.cut('server', 'client');
    const unheard = call(simulation, client, 'server');
    runTo(clock, 10);
    expect(arrived).toHaveLength(1);
    simulation.network.heal('server', 'client');
    simulation.network.cut('client', 'server');
    const unsent = call(simulation, client, 'server');
    runTo(clock, 20);
    expect(arrived).toHaveLength(1);
    simulation.network.heal('client', 'server');
    const whole = call(simulation, client, 'server');
    runTo(clock, 30);
    expect([unheard.text, unsent.text, whole.text]).toEqual([undefined, undefined, '200 22']);
  });

  it('of a locality cuts all machines in it, and nobody else', () => {
    const simulation = createSimulation({ link: { latencyMs: 1 } });
    const near = simulation.machine('near', { locality: 'eu/west/1' });
    const far = simulation.machine('far', { locality: 'us/east/1' });
    const server = simulation.machine('server', { locality: 'us/east/2' });
    echo(simulation, server);
    simulation.network.cut('eu', 'us/east');
    const fromNear = call(simulation, near, 'server');
    const fromFar = call(simulation, far, 'server');
    simulation.clock.runSync();
    expect([fromNear.text, fromFar.text]).toEqual([undefined, '200 2']);
  });

  it('does not take back what is under way', () => {
    const { simulation, client, clock, arrived } = pair();
    call(simulation, client, 'server');
    runTo(clock, 0.5);
    simulation.network.cut('client', 'server');
    clock.runSync();
    expect(arrived).toHaveLength(1);
  });

  it('keeps the news that a caller has gone from its server', () => {
    const { simulation, client, server, clock } = pair();
    const gone: string[] = [];
    simulation.calls(server.process).listen('sim://server:9', (arrived) => {
      arrived.onCancel = (code) => gone.push(code);
    });
    const start = () =>
      simulation.calls(client.process).start(
        { id: 's', address: 'sim://server:9' } as never,
        { path: '/' },
        {
          onResponse() {},
          onData() {},
          onEnd() {},
          onError() {},
        },
      );
    const [heard, unheard] = [start(), start()];
    runTo(clock, 5);
    heard.cancel('deadline-exceeded');
    runTo(clock, 10);
    simulation.network.cut('client', 'server');
    unheard.cancel('cancelled');
    clock.runSync();
    expect(gone).toEqual(['deadline-exceeded']);
  });
});
