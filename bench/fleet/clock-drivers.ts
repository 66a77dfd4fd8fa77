/**
 * One piece of work for every clock: tasks that sleep, each so many times. How it is done in each program's own way, by what its
 * documentation says; the end of the last task must be the same everywhere.
 *
 * Peers are loaded by name when they are there: the benchmark runs without them, and says so.
 */
import { virtualClock } from 'evenkeel/core';
import { seededRandom } from 'evenkeel/testing';

export const TASKS = 100;
const SLEEPS = 300;
/** Sleeps of one run: its events. */
export const EVENTS = TASKS * SLEEPS;
/** More than any task takes. */
const LONG_MS = 1e7;

/** Runs all of it; resolves with the virtual time of the last end. */
export type Driver = () => Promise<number>;

/** Whole milliseconds: what every clock can tell. */
const GAPS: readonly number[] = (() => {
  const random = seededRandom('gaps');
  return Array.from({ length: EVENTS }, () => 1 + random.int(100));
})();

const gapOf = (task: number, sleep: number) => GAPS[task * SLEEPS + sleep] as number;

/** What the last end must be. */
export function expectedEnd(): number {
  const ends = Array.from({ length: TASKS }, (_, task) => {
    let end = 0;
    for (let sleep = 0; sleep < SLEEPS; sleep++) end += gapOf(task, sleep);
    return end;
  });
  return Math.max(...ends);
}

/** A task on any clock that sleeps by promise. */
async function runTask(task: number, sleep: (ms: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < SLEEPS; i++) await sleep(gapOf(task, i));
}

export const evenkeelAsync: Driver = async () => {
  const clock = virtualClock();
  const all = Array.from({ length: TASKS }, (_, task) => runTask(task, (ms) => clock.sleep(ms)));
  await clock.run();
  await Promise.all(all);
  return clock.now();
};

export const evenkeelCallbacks: Driver = async () => {
  const clock = virtualClock();
  for (let task = 0; task < TASKS; task++) {
    let i = 0;
    const step = () => {
      if (i < SLEEPS) clock.timer(gapOf(task, i++), step);
    };
    step();
  }
  clock.runSync();
  return clock.now();
};

interface FakeTimers {
  createClock(
    now: number,
    loopLimit: number,
  ): { now: number; setTimeout(fire: () => void, ms: number): unknown; runAllAsync(): Promise<number> };
}

/** `runAllAsync`: its way to let promises go on between timers. */
export async function fakeTimers(): Promise<Driver | undefined> {
  const library = await load<FakeTimers & { default?: FakeTimers }>('@sinonjs/fake-timers');
  const createClock = library?.createClock ?? library?.default?.createClock;
  if (createClock === undefined) return undefined;
  return async () => {
    const clock = createClock(0, 10 * EVENTS);
    const sleep = (ms: number) => new Promise<void>((resolve) => clock.setTimeout(resolve, ms));
    const all = Array.from({ length: TASKS }, (_, task) => runTask(task, sleep));
    await clock.runAllAsync();
    await Promise.all(all);
    return clock.now;
  };
}

/** As much of effect as is used; its own types come with the package. */
interface EffectModule {
  readonly Effect: {
    gen(body: () => Generator<unknown, unknown, unknown>): unknown;
    sleep(ms: number): unknown;
    all(effects: readonly unknown[], options: { concurrency: 'unbounded'; discard: true }): unknown;
    forkChild?(effect: unknown): unknown;
    fork?(effect: unknown): unknown;
    provide(effect: unknown, layer: unknown): unknown;
    runPromise(effect: unknown): Promise<unknown>;
  };
  readonly Clock: { readonly currentTimeMillis: unknown };
  readonly Fiber: { join(fiber: unknown): unknown };
}

interface EffectTesting {
  readonly TestClock: { layer(): unknown; adjust(ms: number): unknown };
}

/** Fibers that sleep, and one `TestClock.adjust` over all of it: it wakes them in order. */
export async function effectTestClock(): Promise<Driver | undefined> {
  const library = await load<EffectModule>('effect');
  const testing = await load<EffectTesting>('effect/testing');
  if (library === undefined || testing === undefined) return undefined;
  const { Effect, Fiber, Clock } = library;
  const fork = Effect.forkChild ?? Effect.fork;
  if (fork === undefined) return undefined;
  return async () => {
    let end = 0;
    const task = (index: number) =>
      Effect.gen(function* () {
        for (let i = 0; i < SLEEPS; i++) yield* run(Effect.sleep(gapOf(index, i)));
        end = Math.max(end, (yield* run(Clock.currentTimeMillis)) as number);
      });
    const program = Effect.gen(function* () {
      const tasks = Array.from({ length: TASKS }, (_, index) => task(index));
      const fiber = yield* run(fork(Effect.all(tasks, { concurrency: 'unbounded', discard: true })));
      yield* run(testing.TestClock.adjust(LONG_MS));
      yield* run(Fiber.join(fiber));
    });
    await Effect.runPromise(Effect.provide(program, testing.TestClock.layer()));
    return end;
  };
}

/** An effect is an iterable that yields itself and gives its result. */
function run(effect: unknown): Generator<unknown, unknown, unknown> {
  return effect as Generator<unknown, unknown, unknown>;
}

/** Undefined when it is not installed. */
async function load<T>(name: string): Promise<T | undefined> {
  try {
    return (await import(name)) as T;
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
