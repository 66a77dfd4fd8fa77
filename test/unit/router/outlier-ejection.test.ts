import { describe, expect, it } from 'vitest';
import { createLoadBoard, seededRandom, virtualClock } from '../../../src/core/index.js';
import type { Outcome } from '../../../src/core/load-counter.js';
import { EndpointTable, type Member } from '../../../src/router/endpoint-table.js';
import { type EjectionOptions, OutlierEjection } from '../../../src/router/outlier-ejection.js';
import { FakeHost } from '../../support/fake-host.js';
import { rounds } from '../../support/rounds.js';
import { endpointsNamed } from '../../support/router-rig.js';

function ejectionOf(size: number, options: EjectionOptions = {}, seed = 1) {
  const clock = virtualClock();
  const table = new EndpointTable(createLoadBoard({ clock, host: new FakeHost() }), 0, {
    onRemove: (member) => ejection.forget(member),
    onPanic() {},
  });
  const log: { id: string; reason: string; forMs: number }[] = [];
  const returns: string[] = [];
  const ejection: OutlierEjection = new OutlierEjection(clock, seededRandom(seed), table, options, {
    onEject: (member, reason, forMs) => log.push({ id: member.endpoint.id, reason, forMs }),
    onReturn: (member) => returns.push(member.endpoint.id),
  });
  table.update(endpointsNamed(size));
  const member = (id: string): Member => {
    const found = [...table.members()].find(({ endpoint }) => endpoint.id === id);
    if (found === undefined) throw new Error(`${id} is not known`);
    return found;
  };
  /** An attempt ends, as the router tells it. */
  const end = (id: string, outcome: Outcome, times = 1, isUnsent = false) => {
    for (let i = 0; i < times; i++) ejection.onEnd(member(id), outcome === 'error', isUnsent, clock.now());
  };
  return { clock, table, ejection, member, end, log, returns };
}

describe('failures in a row', () => {
  it('eject at the fifth, not before', () => {
    const { end, log, member, table } = ejectionOf(4);
    end('a', 'error', 4);
    expect(log).toEqual([]);
    end('a', 'error');
    expect(log).toMatchObject([{ id: 'a', reason: '5 failures in a row' }]);
    expect(member('a').state).toBe('ejected');
    expect(table.candidates.map(({ endpoint }) => endpoint.id)).toEqual(['b', 'c', 'd']);
  });

  it('are broken by a success', () => {
    const { end, log } = ejectionOf(4, { minSuccessShare: 0 });
    for (let i = 0; i < 10; i++) {
      end('a', 'error', 4);
      end('a', 'ok');
    }
    expect(log).toEqual([]);
  });

  it('do not count calls turned away for lack of room, alone or before a failure', () => {
    const { end, log } = ejectionOf(4);
    end('a', 'dropped', 50);
    end('a', 'error');
    expect(log).toEqual([]);
  });

  it('count as many as asked for', () => {
    const { end, log } = ejectionOf(4, { consecutiveFailures: 1 });
    end('a', 'error');
    expect(log).toHaveLength(1);
  });
});

describe('the share of successes', () => {
  it('ejects below 80 % of at least twenty attempts', () => {
    const { end, log } = ejectionOf(4, { consecutiveFailures: 1000 });
    end('a', 'error');
    end('a', 'ok', 15);
    end('a', 'error', 3);
    expect(log).toEqual([]);
    end('a', 'error');
    expect(log).toMatchObject([{ reason: '75 % of 20 attempts succeeded' }]);
  });

  it('forgets what is older than its window', async () => {
    const { clock, end, log } = ejectionOf(4, { consecutiveFailures: 1000 });
    end('a', 'error', 19);
    await clock.advance(31_000);
    end('a', 'ok', 40);
    end('a', 'error', 5);
    expect(log).toEqual([]);
  });

  it('is off at 0', () => {
    const { end, log } = ejectionOf(4, { consecutiveFailures: 1000, minSuccessShare: 0 });
    end('a', 'error', 500);
    expect(log).toEqual([]);
  });
});

describe('an ejection', () => {
  it('lasts half to all of 5 s and doubles with each in a row, up to its longest', async () => {
    for (let seed = 0; seed < rounds(20); seed++) {
      const { clock, end, log } = ejectionOf(4, { maxMs: 30_000 }, seed);
      end('a', 'error', 5);
      for (const full of [5000, 10_000, 20_000, 30_000, 30_000]) {
        const { forMs } = log.at(-1) ?? { forMs: 0 };
        expect(forMs, `seed ${seed}`).toBeGreaterThanOrEqual(full / 2);
        expect(forMs, `seed ${seed}`).toBeLessThanOrEqual(full);
        await clock.advance(forMs);
        end('a', 'error');
      }
    }
  });

  it('does not grow by failures on probation of which nothing was sent', async () => {
    const { clock, end, log } = ejectionOf(4);
    end('a', 'error', 5);
    for (let i = 0; i < 5; i++) {
      await clock.advance(log.at(-1)?.forMs ?? 0);
      end('a', 'error', 1, true);
      expect(log.at(-1)?.forMs).toBeLessThanOrEqual(5000);
    }
  });

  it('differs in length between endpoints that failed together', () => {
    const { end, log } = ejectionOf(8);
    for (const id of ['a', 'b', 'c', 'd']) end(id, 'error', 5);
    expect(new Set(log.map(({ forMs }) => forMs)).size).toBe(4);
  });

  it('ends in probation: one success opens, and the next ejection is short again', async () => {
    const { clock, end, log, member, returns, table } = ejectionOf(4);
    end('a', 'error', 5);
    await clock.advance(5000);
    expect(returns).toEqual(['a']);
    expect(member('a').state).toBe('probation');
    expect(table.candidates).toHaveLength(4);
    end('a', 'ok');
    expect(member('a').state).toBe('open');
    end('a', 'error', 5);
    expect(log.at(-1)?.forMs).toBeLessThanOrEqual(5000);
  });

  it('begins again with one failure on probation', async () => {
    const { clock, end, log, member } = ejectionOf(4);
    end('a', 'error', 5);
    await clock.advance(5000);
    end('a', 'error');
    expect(log.at(-1)).toMatchObject({ reason: 'failed on probation' });
    expect(member('a').state).toBe('ejected');
  });

  it('takes at most half of the endpoints at once, and one always', () => {
    const many = ejectionOf(5);
    for (const { id } of endpointsNamed(5)) many.end(id, 'error', 10);
    expect(many.log.map(({ id }) => id)).toEqual(['a', 'b']);
    const one = ejectionOf(1);
    one.end('a', 'error', 5);
    expect(one.log).toHaveLength(1);
    const none = ejectionOf(3, { maxShare: 0 });
    for (const { id } of endpointsNamed(3)) none.end(id, 'error', 10);
    expect(none.log).toHaveLength(1);
  });

  it('makes room for the next when an ejected endpoint is removed', async () => {
    const { clock, end, log, table } = ejectionOf(2);
    end('a', 'error', 5);
    end('b', 'error', 5);
    expect(log).toHaveLength(1);
    table.update(endpointsNamed(3).slice(1));
    expect(clock.pending).toBe(0);
    end('b', 'error');
    expect(log.map(({ id }) => id)).toEqual(['a', 'b']);
  });

  it('leaves no timer after close', () => {
    const { clock, end, ejection } = ejectionOf(8);
    for (const id of ['a', 'b', 'c']) end(id, 'error', 5);
    expect(clock.pending).toBe(3);
    ejection.close();
    expect(clock.pending).toBe(0);
  });
});

it.each([
  { consecutiveFailures: 0 },
  { minSuccessShare: 1.1 },
  { windowMs: 1 },
  { minAttempts: 0 },
  { baseMs: 0 },
  { baseMs: 1000, maxMs: 10 },
  { maxShare: -0.1 },
])('refuses %o', (options) => {
  expect(() => ejectionOf(1, options)).toThrow(/ejection\./);
});
