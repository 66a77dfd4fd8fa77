import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../src/core/errors.js';
import type { SimMachine } from '../../../src/sim/machine.js';
import { createSimulation } from '../../../src/sim/simulation.js';
import { call, echo, pair, runTo } from './world.js';

/** `settled` once the promise is. */
function stateOf(promise: Promise<unknown>): { text: string } {
  const state = { text: 'pending' };
  promise.then(
    () => (state.text = 'resolved'),
    () => (state.text = 'rejected'),
  );
  return state;
}

const encode = (text: string) => new TextEncoder().encode(text);
const textOf = (machine: SimMachine, path: string) => new TextDecoder().decode(machine.host.files.get(path));

describe('a crash', () => {
  it('takes the timers of the process, and its promises never settle', async () => {
    const { simulation, client, clock } = pair({ workMs: 50 });
    const { runtime } = client.process;
    let fired = 0;
    runtime.clock.timer(20, () => fired++);
    const states = [
      stateOf(runtime.clock.sleep(20)),
      stateOf(runtime.host.writeFile('a', encode('new'))),
      stateOf(runtime.host.readFile('a', 100)),
      stateOf(runtime.host.lookup('a', 'A')),
    ];
    const ended = call(simulation, client, 'server');
    client.crash();
    await clock.advance(1000);
    expect(fired).toBe(0);
    expect(states.map(({ text }) => text)).toEqual(['pending', 'pending', 'pending', 'pending']);
    expect(ended.text).toBeUndefined();
    expect(client.isUp).toBe(false);
  });

  it('leaves the old content of a file that was being written, and the new one of a file that was written', async () => {
    const { client, clock } = pair();
    const { host } = client.process.runtime;
    const first = host.writeFile('a', encode('old'));
    await clock.advance(10);
    await first;
    void host.writeFile('a', encode('new'));
    await clock.advance(1);
    client.crash();
    await clock.advance(10);
    expect(textOf(client, 'a')).toBe('old');
    const read = client.boot().runtime.host.readFile('a', 100);
    await clock.settle();
    expect(new TextDecoder().decode(await read)).toBe('old');
  });

  it('resets its calls for others: those that it served, at once', () => {
    const { simulation, client, server, clock } = pair({ workMs: 50 });
    const ended = call(simulation, client, 'server');
    runTo(clock, 10);
    server.crash();
    clock.runSync();
    expect(ended.text).toBe('unavailable 11');
  });

  it('tells its servers that the caller has gone', () => {
    const { simulation, client, server, clock } = pair();
    const gone: number[] = [];
    simulation.calls(server.process).listen('sim://server:9', (arrived) => {
      arrived.onCancel = () => gone.push(clock.now());
    });
    call(simulation, client, 'server:9');
    runTo(clock, 5);
    client.crash();
    clock.runSync();
    expect(gone).toEqual([6]);
  });

  it('refuses calls until the next boot, whose programs listen again', () => {
    const { simulation, client, server, clock } = pair();
    server.crash();
    const refused = call(simulation, client, 'server');
    runTo(clock, 10);
    server.boot();
    const served = call(simulation, client, 'server');
    clock.runSync();
    expect([refused.text, served.text]).toEqual(['unavailable 2', '200 12']);
  });

  it('ends what the code of the dead process can do: it starts no call, answers none, writes no file', async () => {
    const { simulation, client, server, clock, arrived } = pair();
    let answerLate = () => {};
    simulation.calls(server.process).listen('sim://server:9', (late) => {
      answerLate = () => late.answer(200, []);
    });
    const ended = call(simulation, client, 'server:9');
    runTo(clock, 5);
    const { host } = server.process.runtime;
    server.crash();
    answerLate();
    void host.writeFile('a', encode('ghost'));
    call(simulation, server, 'server');
    await clock.advance(100);
    expect(ended.text).toBe('unavailable 6');
    expect(server.host.files.size).toBe(0);
    expect(arrived).toHaveLength(0);
  });

  it('ends the pause of the machine, and calls that waited for it are refused', () => {
    const { simulation, client, server, clock } = pair();
    server.pause(1000);
    const ended = call(simulation, client, 'server');
    runTo(clock, 10);
    expect(ended.text).toBeUndefined();
    server.crash();
    runTo(clock, 20);
    expect(ended.text).toBe('unavailable 11');
    expect(server.isPaused).toBe(false);
  });

  it('gives the next process another stream of chance, the same in every run', () => {
    const draws = () => {
      const machine = createSimulation({ seed: 9 }).machine('a');
      return [machine.process.runtime.random.next(), machine.boot().runtime.random.next()];
    };
    const [first, second] = draws();
    expect(first).not.toBe(second);
    expect(draws()).toEqual([first, second]);
  });
});

describe('a crash at the n-th operation', () => {
  it('before: the operation never happens; after: it does, and nobody hears of it', () => {
    for (const [side, count] of [
      ['before', 2],
      ['after', 3],
    ] as const) {
      const { simulation, client, clock, arrived } = pair();
      client.process.crashAtOperation(3, side);
      const calls = Array.from({ length: 5 }, () => call(simulation, client, 'server'));
      expect(client.isUp).toBe(false);
      clock.runSync();
      expect(arrived).toHaveLength(count);
      expect(calls.map(({ text }) => text)).toEqual(Array(5).fill(undefined));
    }
  });

  it('of a server: an arrival and an answer are operations of its own', () => {
    const outcomes = [1, 2, 3, 4].map((count) => {
      const { simulation, client, server, clock, arrived } = pair({ workMs: 1 });
      server.process.crashAtOperation(count, 'after');
      const calls = [call(simulation, client, 'server')];
      runTo(clock, 10);
      calls.push(call(simulation, client, 'server'));
      clock.runSync();
      return `${arrived.length} ${calls.map(({ text }) => text).join(', ')}`;
    });
    expect(outcomes).toEqual([
      '1 unavailable 2, unavailable 12',
      '1 200 3, unavailable 12',
      '2 200 3, unavailable 12',
      '2 200 3, 200 13',
    ]);
  });

  it('counts the operations of the host: a file written after which the process died', async () => {
    for (const side of ['before', 'after'] as const) {
      const { client, clock } = pair();
      client.process.crashAtOperation(1, side);
      const state = stateOf(client.process.runtime.host.writeFile('a', encode('x')));
      await clock.advance(10);
      expect(state.text).toBe('pending');
      expect(client.isUp).toBe(false);
      // Its flush was under way, and is lost either way.
      expect(client.host.files.size).toBe(0);
    }
  });
});

describe('a pause', () => {
  it('holds timers and messages until it ends, in their order', () => {
    const { simulation, client, server, clock, arrived } = pair();
    const at: string[] = [];
    server.process.runtime.clock.timer(5, () => at.push(`a${clock.now()}`));
    server.process.runtime.clock.timer(7, () => at.push(`b${clock.now()}`));
    server.pause(100);
    const ended = call(simulation, client, 'server');
    runTo(clock, 50);
    expect(at).toEqual([]);
    expect(arrived).toHaveLength(0);
    clock.runSync();
    expect(at).toEqual(['a100', 'b100']);
    expect(ended.text).toBe('200 101');
  });

  it('that is longer than one under way extends it; a shorter one adds nothing', () => {
    const { server, clock } = pair();
    const at: number[] = [];
    server.process.runtime.clock.timer(1, () => at.push(clock.now()));
    server.pause(100);
    server.pause(50);
    runTo(clock, 20);
    server.pause(200);
    clock.runSync();
    expect(at).toEqual([220]);
  });

  it('holds the answer of a file, and a cancelled timer stays cancelled', async () => {
    const { server, clock } = pair();
    const { runtime } = server.process;
    const state = stateOf(runtime.host.writeFile('a', encode('x')));
    let fired = 0;
    const timer = runtime.clock.timer(5, () => fired++);
    server.pause(50);
    await clock.advance(40);
    expect(state.text).toBe('pending');
    timer.cancel();
    await clock.advance(20);
    expect(state.text).toBe('resolved');
    expect(fired).toBe(0);
  });
});

describe('clocks of machines', () => {
  it('run at their own rates', async () => {
    const simulation = createSimulation();
    const fast = simulation.machine('fast', { clockRate: 1.25 }).process.runtime.clock;
    const at: number[] = [];
    fast.timer(100, () => at.push(simulation.clock.now(), fast.now()));
    const wall = fast.wallTime();
    await simulation.clock.advance(1000);
    expect(at).toEqual([80, 100]);
    expect(fast.now()).toBe(1250);
    expect(fast.wallTime() - wall).toBe(1250);
  });

  it('keep monotonic time when the calendar jumps', async () => {
    const { client, server, clock } = pair();
    const before = client.process.runtime.clock.wallTime();
    client.jumpWallTime(-3_600_000);
    await clock.advance(10);
    expect(client.process.runtime.clock.wallTime()).toBe(before - 3_600_000 + 10);
    expect(client.process.runtime.clock.now()).toBe(10);
    expect(server.process.runtime.clock.wallTime()).toBe(before + 10);
  });
});

describe('the host', () => {
  it('fails as it is told to, and says when a file changes', async () => {
    const { client, clock } = pair();
    const { host } = client.process.runtime;
    let changes = 0;
    const watch = host.watchFile('a', () => changes++);
    void host.writeFile('a', encode('x'));
    await clock.advance(5);
    expect(changes).toBe(1);
    watch[Symbol.dispose]();
    void host.writeFile('a', encode('y'));
    await clock.advance(5);
    expect(changes).toBe(1);
    client.host.fileError = new EvenkeelError('permission-denied', 'no');
    const read = host.readFile('a', 10);
    await expect(read).rejects.toThrow('no');
    const write = stateOf(host.writeFile('a', encode('z')));
    await clock.advance(5);
    expect(write.text).toBe('rejected');
    expect(textOf(client, 'a')).toBe('y');
    client.host.names.set('db A', [{ host: '10.0.0.1' }]);
    expect(await host.lookup('db', 'A')).toEqual([{ host: '10.0.0.1' }]);
    expect(await host.lookup('db', 'AAAA')).toEqual([]);
  });
});

describe('a listener', () => {
  it('that drains waits for the calls it has; one that closes ends them', async () => {
    const { simulation, client, server, clock } = pair();
    const calls = simulation.calls(server.process);
    const at = (port: number, workMs: number) =>
      calls.listen(`sim://server:${port}`, (arrived) => void clock.timer(workMs, () => arrived.answer(200, [])));
    const draining = at(1, 30);
    const closing = at(2, 30);
    const ended = [call(simulation, client, 'server:1'), call(simulation, client, 'server:2')];
    await clock.advance(10);
    const drained = stateOf(draining.drain());
    const closed = stateOf(closing.close());
    await clock.advance(10);
    expect([drained.text, closed.text]).toEqual(['pending', 'resolved']);
    const late = call(simulation, client, 'server:1');
    await clock.advance(100);
    expect(drained.text).toBe('resolved');
    expect(ended.map(({ text }) => text)).toEqual(['200 32', 'unavailable 11']);
    expect(late.text).toMatch(/^unavailable/);
  });

  it('of a dead process frees its address', () => {
    const { simulation, server } = pair();
    expect(() => simulation.calls(server.process).listen('sim://server', () => {})).toThrow(/taken/);
    server.crash();
    const fresh = createSimulation();
    echo(fresh, fresh.machine('server'));
    expect(server.boot().isAlive).toBe(true);
  });
});
