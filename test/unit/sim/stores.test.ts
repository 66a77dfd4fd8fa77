import { describe, expect, it } from 'vitest';
import type { StateEvent } from '../../../src/core/transport/state.js';
import { createSimulation } from '../../../src/sim/simulation.js';

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : new TextDecoder().decode(bytes));

/** A store's machine and two clients, 1 ms apart. */
function world() {
  const simulation = createSimulation({ seed: 2, link: { latencyMs: 1 } });
  const [machine, one, two] = ['store', 'one', 'two'].map((name) => simulation.machine(name)) as [
    ReturnType<typeof simulation.machine>,
    ReturnType<typeof simulation.machine>,
    ReturnType<typeof simulation.machine>,
  ];
  const { clock, network } = simulation;
  /** What became of a promise within `ms`: its value, `code retryable`, or pending. */
  const outcome = async (promise: Promise<unknown>, ms = 3000): Promise<unknown> => {
    let end: unknown = 'pending';
    promise.then(
      (value) => {
        end = value;
      },
      (error) => {
        end = `${error.code} ${error.retryable}`;
      },
    );
    await clock.advance(ms);
    return end;
  };
  return { simulation, machine, one, two, clock, network, outcome };
}

describe('a state store on another machine', () => {
  const open = () => {
    const base = world();
    const store = base.simulation.stateStore(base.machine);
    return { ...base, store, state: base.simulation.state(base.one.process, store) };
  };

  it('that is cut off answers nothing: a read may be repeated, of a write nobody knows', async () => {
    const { state, network, outcome } = open();
    network.cut('one', 'store');
    expect(await outcome(state.put('a', encode('1')))).toBe('unavailable unknown');
    expect(await outcome(state.get('a'))).toBe('unavailable yes');
  });

  it('whose answer is lost has the write', async () => {
    const { state, store, network, outcome } = open();
    network.cut('store', 'one');
    expect(await outcome(state.put('a', encode('1')))).toBe('unavailable unknown');
    expect(decode((await store.local.get('a'))?.value)).toBe('1');
  });

  it('that is down refuses at once, and keeps its documents, epoch and revisions over the crash', async () => {
    const { state, store, machine, outcome } = open();
    expect(await outcome(state.put('a', encode('1')))).toBe(1);
    const { epoch } = store.documents;
    machine.crash();
    expect(await outcome(state.get('a'), 5)).toBe('unavailable yes');
    expect(await outcome(state.put('a', encode('2')), 5)).toBe('unavailable yes');
    machine.boot();
    expect(await outcome(state.put('a', encode('2')))).toBe(2);
    expect(store.documents.epoch).toBe(epoch);
  });

  it('that crashes at an operation has done it or not, and the client hears of neither', async () => {
    for (const [count, side, revision] of [
      [1, 'before', undefined],
      [1, 'after', 1],
      [2, 'before', 1],
    ] as const) {
      const { state, store, machine, outcome } = open();
      machine.process.crashAtOperation(count, side);
      expect(await outcome(state.put('a', encode('1')), 10)).toBe('unavailable unknown');
      expect((await store.local.get('a'))?.revision).toBe(revision);
    }
  });

  it('has what a client wrote that died after it, and that client never hears', async () => {
    for (const [side, revision] of [
      ['before', undefined],
      ['after', 1],
    ] as const) {
      const { state, store, one, outcome } = open();
      one.process.crashAtOperation(1, side);
      expect(await outcome(state.put('a', encode('1')), 10_000)).toBe('pending');
      expect((await store.local.get('a'))?.revision).toBe(revision);
    }
  });

  it('that stands still answers when it goes on', async () => {
    const { state, machine, outcome } = open();
    machine.pause(1000);
    const put = state.put('a', encode('1'));
    expect(await outcome(put, 900)).toBe('pending');
    expect(await outcome(put, 200)).toBe(1);
  });

  it('ends leases by its own clock, its crash notwithstanding', async () => {
    const { state, machine, clock, outcome } = open();
    await outcome(state.put('a', encode('1'), { leaseMs: 1000 }), 5);
    machine.crash();
    await clock.advance(1200);
    machine.boot();
    expect(await outcome(state.get('a'), 5)).toBeUndefined();
  });
});

describe('a watch of a store on another machine', () => {
  const open = () => {
    const base = world();
    const store = base.simulation.stateStore(base.machine);
    const events: StateEvent[] = [];
    const watch = base.simulation.state(base.one.process, store).watch('', (event) => events.push(event));
    const writer = base.simulation.state(base.two.process, store);
    const told = () =>
      events.filter(({ type }) => type !== 'head').map(({ type, entry }) => `${type} ${decode(entry?.value) ?? ''}`);
    return { ...base, store, events, watch, writer, told };
  };

  it('shows each change, and knows its age: no less than the way there and back', async () => {
    const { watch, writer, told, clock } = open();
    await clock.advance(5);
    void writer.put('a', encode('1'));
    await clock.advance(5);
    expect(told()).toEqual(['synced ', 'put 1']);
    for (let i = 0; i < 40; i++) {
      await clock.advance(97);
      expect(watch.ageMs).toBeGreaterThanOrEqual(2);
      expect(watch.ageMs).toBeLessThan(1600);
    }
  });

  it.each([
    ['one', 'store'],
    ['store', 'one'],
  ])('ages while %s is cut from %s, and begins anew with reset once it is healed', async (from, to) => {
    const { watch, writer, told, clock, network, events } = open();
    void writer.put('a', encode('1'));
    await clock.advance(1000);
    network.cut(from, to);
    void writer.put('a', encode('2'));
    await clock.advance(10_000);
    expect(watch.ageMs).toBeGreaterThan(9000);
    network.heal(from, to);
    void writer.put('a', encode('3'));
    await clock.advance(4000);
    expect(watch.ageMs).toBeLessThan(1600);
    expect(told().slice(-3)).toEqual(['reset ', 'put 3', 'synced ']);
    expect(events.at(-1)?.type).toBe('head');
    expect(new Set(events.map(({ epoch }) => epoch)).size).toBe(1);
  });

  it('comes back by itself after a crash of the store', async () => {
    const { writer, told, clock, machine } = open();
    void writer.put('a', encode('1'));
    await clock.advance(1000);
    machine.crash();
    await clock.advance(2000);
    machine.boot();
    await clock.advance(1000);
    void writer.put('a', encode('2'));
    await clock.advance(1000);
    expect(told()).toEqual(['synced ', 'put 1', 'reset ', 'put 1', 'synced ', 'put 2']);
  });

  it('loses no change however many messages are lost', async () => {
    const { simulation, writer, told, clock, watch } = open();
    simulation.network.setDefault({ loss: 0.05 });
    let last = 0;
    for (let n = 1; n <= 300; n++) {
      void writer.put('a', encode(String(n))).then(
        () => {
          last = n;
        },
        () => {},
      );
      await clock.advance(50);
    }
    simulation.network.setDefault({ loss: 0 });
    await clock.advance(5000);
    expect(
      Number(
        told()
          .findLast((line) => line.startsWith('put'))
          ?.slice(4),
      ),
      'seed 2',
    ).toBeGreaterThanOrEqual(last);
    expect(last).toBeGreaterThan(250);
    expect(watch.ageMs).toBeLessThan(1600);
  });

  it('of a process that died says no more, and the store forgets it', async () => {
    const { writer, events, one, clock } = open();
    await clock.advance(1000);
    one.crash();
    const count = events.length;
    void writer.put('a', encode('1'));
    await clock.advance(30_000);
    expect(events).toHaveLength(count);
    // What is left is nothing: neither at the dead client nor at the store.
    expect(clock.pending).toBe(0);
  });
});

describe('a blob store on another machine', () => {
  const open = (options = {}) => {
    const base = world();
    const store = base.simulation.blobStore(base.machine, options);
    const blobs = base.simulation.blobs(base.one.process, store);
    const write = async (name: string, bytes: number) => {
      const writer = await blobs.writer(name);
      const buffer = await writer.buffer();
      buffer.fill(bytes & 255);
      await writer.write(bytes);
      return writer.commit();
    };
    return { ...base, store, blobs, write };
  };

  it('forgets an unfinished blob when its writer’s process dies', async () => {
    const { store, blobs, one, clock } = open({ maxBytes: 1000 });
    void blobs.writer('a').then(async (writer) => {
      await writer.buffer();
      await writer.write(1000);
    });
    await clock.advance(20);
    one.crash();
    await clock.advance(20);
    const writer = await store.local.writer('b');
    await writer.buffer();
    await writer.write(1000);
    expect(await store.local.list('', { limit: 10 })).toEqual([]);
  });

  it('ends the writer when it crashes, and when a piece is not answered', async () => {
    for (const fault of ['crash', 'cut']) {
      const { blobs, machine, network, clock, outcome, store } = open();
      const opened = blobs.writer('a');
      await clock.advance(5);
      const writer = await opened;
      await writer.buffer();
      if (fault === 'crash') machine.crash();
      else network.cut('store', 'one');
      expect(await outcome(writer.write(10))).toMatch(/^unavailable/);
      if (fault === 'crash') machine.boot();
      else network.heal('store', 'one');
      expect(await outcome(writer.commit())).toMatch(/^failed-precondition/);
      expect(await store.local.stat('a')).toBeUndefined();
    }
  });

  it('keeps what it committed over a crash', async () => {
    const { write, store, machine, outcome } = open();
    expect(await outcome(write('a', 10), 20)).toEqual({ name: 'a', bytes: 10 });
    machine.crash();
    expect(await store.local.stat('a')).toEqual({ name: 'a', bytes: 10 });
  });

  it('loses in a crash what was not flushed, when it was asked to: deletes come back, too', async () => {
    const { write, blobs, store, machine, clock, outcome } = open({ loseUnsyncedMs: 100 });
    await outcome(write('old', 10), 500);
    await outcome(write('replaced', 10), 500);
    await outcome(Promise.all([write('new', 10), write('replaced', 20), blobs.delete('old')]), 50);
    machine.crash();
    expect(await store.local.list('', { limit: 10 })).toEqual([
      { name: 'old', bytes: 10 },
      { name: 'replaced', bytes: 10 },
    ]);
    machine.boot();
    await outcome(write('new', 10), 500);
    machine.crash();
    await clock.advance(1);
    expect(await store.local.stat('new')).toEqual({ name: 'new', bytes: 10 });
  });

  it('leaves the last write torn, when it was asked to', async () => {
    const { write, store, machine, outcome } = open({ loseUnsyncedMs: 100, tearsLastWrite: true });
    await outcome(write('old', 10), 500);
    await outcome(write('new', 1000), 50);
    machine.crash();
    const { bytes = 1000 } = (await store.local.stat('new')) ?? {};
    expect(bytes, 'seed 2').toBeLessThan(1000);
    expect((await store.local.stat('old'))?.bytes).toBe(10);
  });
});

describe('a queue on another machine', () => {
  const open = (options = {}) => {
    const base = world();
    const store = base.simulation.queueStore(base.machine, options);
    return { ...base, store, queue: base.simulation.queue(base.one.process, store) };
  };
  const items = (...texts: string[]) => texts.map((text) => ({ body: encode(text) }));
  const LEASE = { max: 10, leaseMs: 5000 };

  it('goes on with a lease that waits, over a crash and a cut', async () => {
    const { queue, store, machine, network, clock, outcome } = open();
    const lease = queue.lease(LEASE);
    await clock.advance(500);
    machine.crash();
    await clock.advance(3000);
    machine.boot();
    await clock.advance(500);
    network.cut('one', 'store');
    await clock.advance(5000);
    network.heal('one', 'store');
    await clock.advance(3000);
    void store.local.enqueue(items('1'));
    expect(await outcome(lease, 3000)).toHaveLength(1);
  });

  it('delivers again what was in a lost answer, once its lease has run out', async () => {
    const { queue, store, network, clock } = open();
    const got: number[] = [];
    void queue.lease(LEASE).then((deliveries) => got.push(...deliveries.map(({ attempt }) => attempt)));
    await clock.advance(100);
    network.cut('store', 'one');
    void store.local.enqueue(items('1'));
    await clock.advance(100);
    network.heal('store', 'one');
    await clock.advance(4000);
    expect(got).toEqual([]);
    await clock.advance(4000);
    expect(got).toEqual([2]);
  });

  it('takes an ack after a crash, and one that is repeated because its answer was lost', async () => {
    const { queue, store, machine, network, outcome } = open();
    await outcome(queue.enqueue(items('1')), 10);
    const [delivery] = (await outcome(queue.lease({ ...LEASE, leaseMs: 60_000 }), 10)) as Awaited<ReturnType<typeof queue.lease>>;
    machine.crash();
    machine.boot();
    network.cut('store', 'one');
    expect(await outcome(delivery?.ack() as Promise<void>)).toBe('unavailable unknown');
    network.heal('store', 'one');
    expect(await outcome(delivery?.ack() as Promise<void>)).toBeUndefined();
    expect(await store.local.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 0 });
  });

  it('keeps a dead worker’s items for the others: due again after the lease, under a higher fence', async () => {
    const { simulation, queue, store, one, two, outcome } = open();
    await outcome(queue.enqueue(items('1', '2')), 10);
    const first = (await outcome(queue.lease(LEASE), 10)) as Awaited<ReturnType<typeof queue.lease>>;
    one.crash();
    const other = simulation.queue(two.process, store);
    const again = (await outcome(other.lease(LEASE), 6000)) as typeof first;
    expect(again.map(({ id, attempt }) => [id, attempt])).toEqual(first.map(({ id }) => [id, 2]));
    expect(again[0]?.fence).toBeGreaterThan(first[0]?.fence ?? 0);
  });

  it('gives nothing to a waiting lease whose process died', async () => {
    const { queue, store, one, clock } = open();
    void queue.lease(LEASE);
    await clock.advance(100);
    one.crash();
    await clock.advance(100);
    await store.local.enqueue(items('1'));
    expect(await store.local.stats()).toMatchObject({ due: 1, leased: 0 });
  });

  it('loses in a crash what was not flushed, when it was asked to: items are gone, acks undone, old leases no longer ours', async () => {
    const { queue, store, machine, clock, outcome } = open({ loseUnsyncedMs: 200 });
    await outcome(
      queue.enqueue([...items('acked', 'held'), { body: encode('later'), notBefore: clock.wallTime() + 3_600_000 }]),
      500,
    );
    const held = (await outcome(queue.lease({ max: 2, leaseMs: 60_000 }), 500)) as Awaited<ReturnType<typeof queue.lease>>;
    await outcome(Promise.all([held[0]?.ack(), queue.enqueue(items('lost'))]), 20);
    expect(await store.local.stats()).toEqual({ due: 1, delayed: 1, leased: 1, dead: 0 });
    machine.crash();
    machine.boot();
    expect(await store.local.stats()).toEqual({ due: 0, delayed: 1, leased: 2, dead: 0 });
    expect(await outcome(held[1]?.ack() as Promise<void>, 10)).toMatch(/^aborted/);
    const again = (await outcome(queue.lease({ max: 9, leaseMs: 60_000 }), 65_000)) as typeof held;
    expect(again.map(({ body, attempt }) => `${decode(body)} ${attempt}`)).toEqual(['acked 2', 'held 2']);
    expect(Math.min(...again.map(({ fence }) => fence))).toBeGreaterThan(Math.max(...held.map(({ fence }) => fence)));
    const [id] = (await outcome(queue.enqueue(items('new')), 10)) as number[];
    // The number of the lost item is not given again.
    expect(id).toBe(5);
  });

  it('leaves the beginning of the last batch, when it was asked to', async () => {
    const { queue, store, machine, outcome } = open({ loseUnsyncedMs: 200, tearsLastWrite: true });
    await outcome(queue.enqueue(items('a', 'b')), 500);
    await outcome(queue.enqueue(items(...Array.from({ length: 100 }, String))), 10);
    machine.crash();
    const { due } = await store.local.stats();
    expect(due, 'seed 2').toBeGreaterThan(2);
    expect(due, 'seed 2').toBeLessThan(102);
  });
});
