/** Waiters that leave, throw, or come back while others are served. */
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { emptyClaim } from '../../../src/limiter/claim.js';
import { fixedLimit, type Limiter, type LimiterOptions, type Permit, type Refusal } from '../../../src/limiter/index.js';
import { coreOf } from '../../../src/limiter/limiter-core.js';
import { type Claim, Waiter } from '../../../src/limiter/waiter.js';
import { codeOf, limiterOf } from '../../support/limiter-rig.js';
import { rounds } from '../../support/rounds.js';

/** Does what the test says when it hears of its permit or its refusal. */
class Scripted extends Waiter {
  permit: Permit | undefined;
  refusal: Refusal | undefined;
  readonly #limiter: Limiter;
  readonly #onAdmitted: (permit: () => Permit) => void;
  readonly #onRefused: () => void;

  constructor(
    limiter: Limiter,
    script: { admitted?: (permit: () => Permit) => void; refused?: () => void; claim?: Partial<Claim> } = {},
  ) {
    super({ ...emptyClaim(), ...script.claim }, coreOf(limiter).runtime.clock.now());
    this.#limiter = limiter;
    this.#onAdmitted = script.admitted ?? ((permit) => permit());
    this.#onRefused = script.refused ?? (() => {});
    coreOf(limiter).submit(this);
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    this.#onAdmitted(() => {
      this.permit = coreOf(this.#limiter).permit(this, startedAt, isTimed);
      return this.permit;
    });
  }

  onRefused(refusal: Refusal): void {
    this.refusal = refusal;
    this.#onRefused();
  }
}

function busy(options: LimiterOptions = {}) {
  const rig = limiterOf({ limit: fixedLimit(1), ...options });
  const running = rig.limiter.tryAcquire({ weight: rig.limiter.limit }) as Permit;
  return { ...rig, running };
}

describe('waiters that leave', () => {
  it('a million of them change nothing: all are answered, and nothing listens to their signals', async () => {
    const { clock, limiter, running } = busy({ queue: { maxQueued: 1000 } });
    const codes = new Map<string, number>();
    const total = rounds(100_000, 1_000_000);
    // Nothing is served for minutes: the door would turn away all but the most critical.
    const first = { criticality: 'critical-plus', cohort: 0 } as const;
    let answered = 0;
    for (let begun = 0; begun < total; begun += 1000) {
      const controllers = Array.from({ length: 1000 }, () => new AbortController());
      const promises = controllers.map(({ signal }) => limiter.acquire({ ...first, signal }));
      for (const promise of promises) {
        void codeOf(promise).then((code) => {
          answered++;
          codes.set(code, (codes.get(code) ?? 0) + 1);
        });
      }
      expect(limiter.queued).toBe(1000);
      for (const [i, controller] of controllers.entries()) if (i % 2 === 0) controller.abort();
      await clock.advance(104);
      expect(limiter.queued).toBe(0);
      expect(controllers.some(({ signal }) => getEventListeners(signal, 'abort').length > 0)).toBe(false);
    }
    expect(answered).toBe(total);
    expect(Object.fromEntries(codes)).toEqual({ cancelled: total / 2, 'resource-exhausted waited': total / 2 });
    expect(clock.pending).toBe(0);
    expect(limiter).toMatchObject({ inFlight: 1, weight: 1, limit: 1 });
    running.end();
    expect(limiter.tryAcquire(first)).toBeDefined();
  });

  it('one whose caller aborts before the release in the same turn gets no permit', async () => {
    const { limiter, running } = busy();
    const controller = new AbortController();
    const gone = codeOf(limiter.acquire({ signal: controller.signal }));
    const next = limiter.acquire();
    controller.abort();
    running.end();
    expect(await gone).toBe('cancelled');
    expect((await next).weight).toBe(1);
    expect(limiter.inFlight).toBe(1);
  });

  it('one whose caller aborts after the release in the same turn has its permit, and ends it', async () => {
    const { limiter, running } = busy();
    const controller = new AbortController();
    const granted = limiter.acquire({ signal: controller.signal });
    running.end();
    controller.abort();
    (await granted).end();
    expect(limiter).toMatchObject({ inFlight: 0, weight: 0, queued: 0 });
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it.each(['before', 'after'])(
    'one whose time is up at the moment of a release is answered once, the timer %s it',
    async (order) => {
      const { clock, limiter, running } = busy({ queue: { calmWaitMs: 100 } });
      const release = () => clock.timer(100, () => running.end());
      if (order === 'after') release();
      const waiting = limiter.acquire().then(
        () => 'ok',
        () => 'refused',
      );
      if (order === 'before') release();
      await clock.advance(100);
      expect(limiter.inFlight).toBe((await waiting) === 'ok' ? 1 : 0);
      expect(limiter.queued).toBe(0);
    },
  );

  it('one that is aborted from inside the grant of another is passed over', () => {
    const { limiter, running } = busy({ limit: fixedLimit(2) });
    const first = new Scripted(limiter, {
      admitted: (permit) => {
        permit();
        coreOf(limiter).withdraw(second);
      },
    });
    const second: Scripted = new Scripted(limiter);
    const third = new Scripted(limiter);
    running.end();
    expect([first, second, third].map(({ permit }) => permit !== undefined)).toEqual([true, false, true]);
    expect(limiter.inFlight).toBe(2);
  });

  it.each(['aborts', 'times out', 'is evicted'])('those behind a heavy one are served when it %s', async (how) => {
    const { clock, limiter, running } = busy({ limit: fixedLimit(10), queue: { maxQueued: 2 } });
    running.reweigh(5);
    const controller = new AbortController();
    const heavy = codeOf(limiter.acquire({ weight: 8, signal: controller.signal, deadline: 50, criticality: 'sheddable' }));
    // It came later, and is no more critical.
    const light = limiter.acquire({ weight: 1, criticality: 'sheddable' });
    expect(limiter.queued).toBe(2);
    if (how === 'aborts') controller.abort();
    else if (how === 'times out') await clock.advance(52);
    else limiter.acquire({ weight: 9, criticality: 'sheddable' }).catch(() => {});
    expect(await heavy).not.toBe('ok');
    expect((await light).weight).toBe(1);
    await limiter.close();
  });

  it('a more critical one that fits does not wait behind a heavy one', async () => {
    const { limiter, running } = busy({ limit: fixedLimit(10) });
    running.reweigh(5);
    const heavy = codeOf(limiter.acquire({ weight: 8 }));
    expect((await limiter.acquire({ weight: 2, criticality: 'critical-plus' })).weight).toBe(2);
    await limiter.close();
    expect(await heavy).toBe('failed-precondition closed');
  });

  it('pullers are told when the last one that stood before them leaves', async () => {
    const { limiter, running } = busy({ limit: fixedLimit(10) });
    running.reweigh(5);
    const controller = new AbortController();
    const heavy = codeOf(limiter.acquire({ weight: 8, signal: controller.signal }));
    const ready = limiter.ready();
    controller.abort();
    await ready;
    expect(await heavy).toBe('cancelled');
  });
});

it('a drain ends with the last that waits, though nothing was in flight', async () => {
  const { clock, limiter } = limiterOf();
  // As a share of a quota may be.
  coreOf(limiter).gate.setLimit(0, 'share');
  const waiting = codeOf(limiter.acquire());
  const drained = limiter.drain();
  await clock.advance(104);
  expect(await waiting).toBe('resource-exhausted waited');
  await drained;
});

it('as many pullers are told as a higher limit has room for', async () => {
  const { limiter, running, runtime } = busy();
  let told = 0;
  for (let i = 0; i < 8; i++) {
    void limiter.ready().then(() => {
      told++;
      expect(limiter.tryAcquire()).toBeDefined();
    });
  }
  coreOf(limiter).gate.setLimit(6, 'grown');
  await runtime.clock.advance(1);
  expect([told, limiter.inFlight]).toEqual([5, 6]);
  running.end();
});

describe('waiters that throw', () => {
  it('when they are admitted give their weight back, and the queue goes on', () => {
    const { limiter, runtime, running } = busy();
    const broken = new Scripted(limiter, {
      admitted: () => {
        throw new Error('broken');
      },
    });
    const next = new Scripted(limiter);
    expect(() => running.end()).not.toThrow();
    expect([broken.permit, next.permit?.weight]).toEqual([undefined, 1]);
    expect(limiter).toMatchObject({ inFlight: 1, weight: 1, queued: 0 });
    expect(runtime.host.warnings).toEqual(['evenkeel limiter test: broken']);
  });

  it('with their permit in hand keep it', () => {
    const { limiter, running } = busy();
    const broken = new Scripted(limiter, {
      admitted: (permit) => {
        permit();
        throw new Error('broken');
      },
    });
    running.end();
    expect(limiter.inFlight).toBe(1);
    broken.permit?.end();
    expect(limiter).toMatchObject({ inFlight: 0, weight: 0 });
  });

  it('when they are refused do not keep the others from an answer', async () => {
    const { clock, limiter } = busy({ queue: { maxQueued: 3 } });
    const refused = () => {
      throw new Error('broken');
    };
    const waiters = [1, 2, 3].map(() => new Scripted(limiter, { refused, claim: { rank: 3 } }));
    const evicting = new Scripted(limiter, { refused, claim: { rank: 1 } });
    expect(waiters[0]?.refusal).toBe('evicted');
    expect(evicting.isQueued).toBe(true);
    await clock.advance(104);
    expect([...waiters, evicting].map(({ refusal }) => refusal)).toEqual(['evicted', 'waited', 'waited', 'waited']);
    const last = [1, 2].map(() => new Scripted(limiter, { refused }));
    await limiter.close();
    expect(last.map(({ refusal }) => refusal)).toEqual(['closed', 'closed']);
  });
});

describe('re-entrancy', () => {
  it('a call that ends within its grant makes room for the next, a thousand deep', () => {
    const { limiter, running } = busy();
    const waiters = Array.from({ length: 1000 }, () => new Scripted(limiter, { admitted: (permit) => permit().end() }));
    running.end();
    expect(waiters.every(({ permit }) => permit !== undefined)).toBe(true);
    expect(limiter).toMatchObject({ inFlight: 0, weight: 0, queued: 0 });
  });

  it('one that asks again within its grant waits behind those who were there', () => {
    const { limiter, running } = busy();
    const order: string[] = [];
    new Scripted(limiter, {
      admitted: (permit) => {
        order.push('first');
        new Scripted(limiter, { admitted: () => order.push('again') });
        permit().end();
      },
    });
    new Scripted(limiter, {
      admitted: (permit) => {
        order.push('second');
        permit().end();
      },
    });
    running.end();
    expect(order).toEqual(['first', 'second', 'again']);
  });

  it('a listener that comes back when another is evicted finds the queue no longer than it may be', async () => {
    const { limiter } = busy({ queue: { maxQueued: 2 } });
    const promises = [1, 2].map(() => codeOf(limiter.acquire({ criticality: 'sheddable' })));
    let comebacks = 0;
    limiter.events.on('refused', ({ reason }) => {
      expect(limiter.queued).toBeLessThanOrEqual(2);
      if (reason === 'evicted' && comebacks++ === 0) promises.push(codeOf(limiter.acquire({ criticality: 'critical' })));
    });
    promises.push(codeOf(limiter.acquire({ criticality: 'critical' })));
    expect(limiter.queued).toBe(2);
    await limiter.close();
    const told = await Promise.all(promises);
    expect(told.filter((code) => code === 'resource-exhausted evicted')).toHaveLength(2);
  });

  it('a listener that ends the last permit when another is evicted leaves nobody behind', async () => {
    const { limiter, running } = busy({ queue: { maxQueued: 1 } });
    const evicted = codeOf(limiter.acquire({ criticality: 'sheddable' }));
    limiter.events.on('refused', () => running.end());
    expect((await limiter.acquire({ criticality: 'critical' })).weight).toBe(1);
    expect(await evicted).toBe('resource-exhausted evicted');
  });
});
