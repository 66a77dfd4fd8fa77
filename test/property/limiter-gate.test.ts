/** Whatever callers do, and in whatever order: the limit holds, the sums are right, and everybody is answered. */
import { createLimiter, fixedLimit, type Limiter, type Permit } from 'evenkeel/limiter';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type FakeRuntime, fakeRuntime } from '../support/fake-host.js';
import { rounds } from '../support/rounds.js';

const CRITICALITIES = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'] as const;
const LIMIT = 5;
const ROUNDING = 1e-6;

const weight = fc.constantFrom(1, 0.1, 0.3, 2, 4.5, 7);
const claim = fc.record({
  weight,
  rank: fc.nat(3),
  partition: fc.constantFrom(undefined, 'a', 'b', 'unknown'),
  timeoutMs: fc.option(fc.integer({ min: -5, max: 300 }), { nil: undefined }),
});
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('try' as const), claim }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('acquire' as const), claim }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('abort' as const), who: fc.nat() }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('end' as const), who: fc.nat(), isTwice: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('reweigh' as const), who: fc.nat(), to: fc.oneof(weight, fc.constant(0)) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 120 }) }) },
  // Several in one turn: promises are not let come to rest in between.
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Claim = typeof claim extends fc.Arbitrary<infer T> ? T : never;

interface Asked {
  readonly claim: Claim;
  readonly order: number;
  readonly controller: AbortController;
  answers: number;
}

class Run {
  readonly runtime: FakeRuntime = fakeRuntime();
  readonly limiter: Limiter;
  readonly isSplit: boolean;
  readonly maxQueued: number;
  readonly waiting = new Set<Asked>();
  readonly asked: Asked[] = [];
  readonly permits = new Set<Permit>();
  readonly open: Permit[] = [];

  constructor(isSplit: boolean, maxQueued: number) {
    this.isSplit = isSplit;
    this.maxQueued = maxQueued;
    this.limiter = createLimiter({
      runtime: this.runtime,
      limit: fixedLimit(LIMIT),
      leakWarning: false,
      queue: { maxQueued, calmWaitMs: 100 },
      ...(isSplit ? { partitions: { a: 0.5, b: 0.3 } } : undefined),
    });
    // Nobody hears of a queue that is too long, not even whoever is told of a refusal.
    this.limiter.events.on('refused', () => expect(this.limiter.queued).toBeLessThanOrEqual(maxQueued));
  }

  async take(step: Step): Promise<void> {
    const before = this.#admitted();
    switch (step.do) {
      case 'try': {
        const permit = this.limiter.tryAcquire(this.#options(step.claim));
        if (permit !== undefined) this.#keep(permit);
        break;
      }
      case 'acquire':
        this.#acquire(step.claim);
        break;
      case 'abort':
        this.asked[step.who % (this.asked.length || 1)]?.controller.abort();
        break;
      case 'end': {
        const [permit] = this.open.splice(step.who % (this.open.length || 1), 1);
        permit?.end('ok');
        if (step.isTwice) permit?.end('error');
        break;
      }
      case 'reweigh':
        this.open[step.who % (this.open.length || 1)]?.reweigh(step.to);
        break;
      case 'advance':
        await this.runtime.clock.advance(step.ms);
        break;
      default:
        await this.runtime.clock.settle();
    }
    if (this.#admitted() > before) this.assertWithinLimit();
    expect(this.limiter.queued).toBeLessThanOrEqual(this.maxQueued);
  }

  async assertSums(): Promise<void> {
    await this.runtime.clock.settle();
    const sum = this.open.reduce((total, permit) => total + permit.weight, 0);
    expect(this.limiter.inFlight).toBe(this.open.length);
    expect(Math.abs(this.limiter.weight - sum)).toBeLessThan(ROUNDING);
    const shares = this.limiter.snapshot().partitions.reduce((total, partition) => total + partition.weight, 0);
    if (this.limiter.snapshot().partitions.length > 0) expect(Math.abs(shares - sum)).toBeLessThan(ROUNDING);
    expect(this.waiting.size).toBe(this.limiter.queued);
  }

  assertWithinLimit(): void {
    const { inFlight, weight } = this.limiter;
    if (inFlight > 1) expect(weight).toBeLessThanOrEqual(LIMIT + ROUNDING);
  }

  async close(): Promise<void> {
    await this.limiter.close();
    await this.runtime.clock.settle();
    expect(this.asked.every(({ answers }) => answers === 1)).toBe(true);
    await this.assertSums();
    for (const permit of this.open.splice(0)) permit.end();
    await this.assertSums();
    expect([this.limiter.inFlight, this.limiter.weight, this.limiter.queued]).toEqual([0, 0, 0]);
    expect(this.runtime.clock.pending).toBeLessThanOrEqual(1);
    expect(this.runtime.diagnostics.total).toBe(0);
  }

  #options({ partition, rank, timeoutMs, weight }: Claim) {
    const deadline = timeoutMs === undefined ? undefined : this.runtime.clock.now() + timeoutMs;
    return { weight, criticality: CRITICALITIES[rank], ...(partition && { partition }), ...(deadline && { deadline }) };
  }

  #acquire(claim: Claim): void {
    const one: Asked = { claim, order: this.asked.length, controller: new AbortController(), answers: 0 };
    this.asked.push(one);
    this.waiting.add(one);
    this.limiter.acquire({ ...this.#options(claim), signal: one.controller.signal }).then(
      (permit) => {
        this.#answer(one);
        this.#assertNotPassing(one);
        this.#keep(permit);
      },
      () => this.#answer(one),
    );
  }

  #answer(one: Asked): void {
    one.answers++;
    this.waiting.delete(one);
  }

  /** Promises settle in the order of the grants: whoever still waits here was passed, or left after it. */
  #assertNotPassing(granted: Asked): void {
    const passed = [...this.waiting].filter(
      ({ claim, order }) =>
        order < granted.order &&
        (!this.isSplit || claim.partition === granted.claim.partition) &&
        claim.rank < granted.claim.rank &&
        claim.weight <= granted.claim.weight,
    );
    this.#passed.push(...passed.map((by) => ({ by, granted })));
  }

  readonly #passed: { by: Asked; granted: Asked }[] = [];

  /** Those who still wait when all has come to rest did not leave. */
  assertNobodyPassed(): void {
    expect(this.#passed.filter(({ by }) => this.waiting.has(by))).toEqual([]);
    this.#passed.length = 0;
  }

  #keep(permit: Permit): void {
    expect(this.permits.has(permit)).toBe(false);
    this.permits.add(permit);
    this.open.push(permit);
  }

  #admitted(): number {
    return Object.values(this.limiter.snapshot().admitted).reduce((sum, count) => sum + count, 0);
  }
}

it.each([true, false])('a gate keeps its promises under any interleaving; split into partitions: %s', async (isSplit) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 80, size: 'max' }),
      fc.constantFrom(...(isSplit ? [1, 3, 8] : [0, 1, 3, 8])),
      async (steps, maxQueued) => {
        const run = new Run(isSplit, maxQueued);
        for (const one of steps) {
          await run.take(one);
          if (one.do !== 'settle') continue;
          await run.assertSums();
          run.assertNobodyPassed();
        }
        await run.close();
      },
    ),
    { numRuns: rounds(300) },
  );
});

it('a more critical call that waits is never passed by a less critical one, in any order of weights that fit', async () => {
  const waiters = fc.array(fc.record({ rank: fc.nat(3), weight: fc.constantFrom(1, 2, 3) }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(waiters, async (list) => {
      const runtime = fakeRuntime();
      const limiter = createLimiter({ runtime, limit: fixedLimit(3), leakWarning: false });
      const running = limiter.tryAcquire({ weight: 3 });
      const order: number[] = [];
      const served = list.map(async ({ rank, weight }) => {
        const permit = await limiter.acquire({ weight, criticality: CRITICALITIES[rank] });
        order.push(rank);
        permit.end();
      });
      running?.end();
      await Promise.all(served);
      expect(order).toEqual([...order].sort((a, b) => a - b));
      await limiter.close();
    }),
    { numRuns: rounds(300) },
  );
});
