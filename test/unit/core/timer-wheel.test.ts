import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/random.js';
import { TimerWheel, WheelEntry } from '../../../src/core/timer-wheel.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';

const TICK_MS = 8;

class Entry extends WheelEntry {
  deadline = 0;
  readonly #onFire: () => void;
  constructor(onFire: () => void) {
    super();
    this.#onFire = onFire;
  }
  onDeadline(): void {
    this.#onFire();
  }
}

function setUp() {
  const clock = virtualClock();
  const errors: unknown[] = [];
  const wheel = new TimerWheel(clock, (error) => errors.push(error), TICK_MS);
  const fired: { deadline: number; at: number }[] = [];
  const arm = (deadline: number, onFire: () => void = () => {}) => {
    const entry: Entry = new Entry(() => {
      fired.push({ deadline: entry.deadline, at: clock.now() });
      onFire();
    });
    move(entry, deadline);
    return entry;
  };
  const move = (entry: Entry, deadline: number) => {
    entry.deadline = deadline;
    wheel.arm(entry, deadline, clock.now());
  };
  return { clock, wheel, errors, fired, arm, move };
}

describe('TimerWheel', () => {
  it('fires at or after each deadline and at most one tick late, whenever it was armed (seed 3)', () => {
    const { clock, fired, arm, wheel } = setUp();
    const random = seededRandom(3);
    let armed = 0;
    const more = () => {
      for (let i = 0; i < 3 && armed < 3000; i++, armed++) arm(clock.now() + random.next() * 10_000);
      if (armed < 3000) clock.timer(random.next() * 20, more);
    };
    more();
    clock.runSync();
    expect(fired).toHaveLength(3000);
    for (const { deadline, at } of fired) {
      expect(at).toBeGreaterThanOrEqual(deadline);
      expect(at - deadline).toBeLessThanOrEqual(TICK_MS);
    }
    expect(wheel.size).toBe(0);
  });

  it('takes deadlines beyond several turns, and those that are over', () => {
    const { clock, fired, arm } = setUp();
    arm(100_000.5);
    arm(-5);
    clock.runSync();
    expect(fired.map(({ deadline }) => deadline)).toEqual([-5, 100_000.5]);
    expect(fired[0]?.at).toBeLessThanOrEqual(TICK_MS);
    expect(fired[1]?.at).toBeLessThanOrEqual(100_000.5 + TICK_MS);
  });

  it('does not fire what was disarmed, and fires what was moved at its new deadline', () => {
    const { clock, wheel, fired, arm, move } = setUp();
    const gone = arm(100);
    const moved = arm(100);
    wheel.disarm(gone);
    wheel.disarm(gone);
    move(moved, 5000);
    expect(wheel.size).toBe(1);
    clock.runSync();
    expect(fired).toEqual([{ deadline: 5000, at: 5000 }]);
  });

  it('leaves an entry that is to come by a later time where it is, and brings forward one that is armed for later', () => {
    const { clock, wheel, fired, arm } = setUp();
    const entry = arm(1000);
    wheel.armBy(entry, 2000, clock.now());
    wheel.armBy(entry, Number.POSITIVE_INFINITY, clock.now());
    clock.runSync();
    expect(fired.map(({ at }) => at)).toEqual([1000]);
    const other = arm(5000);
    wheel.armBy(other, 3000, clock.now());
    clock.runSync();
    expect(fired.map(({ at }) => at)).toEqual([1000, 3000]);
  });

  it('lets a callback disarm and arm others that are due with it', () => {
    const { clock, wheel, fired, arm, move } = setUp();
    const entries = Array.from({ length: 10 }, (_, i) => arm(50, () => i === 0 && fired.length === 1 && disarmAll()));
    const disarmAll = () => {
      for (const entry of entries) wheel.disarm(entry);
      move(entries[0] as Entry, 50);
      move(entries[1] as Entry, 1000);
    };
    clock.runSync();
    // Of one tick the first armed is fired first.
    expect(fired.map(({ deadline }) => deadline)).toEqual([50, 50, 1000]);
    expect(fired[1]?.at).toBeLessThanOrEqual(56 + TICK_MS);
  });

  it('gives an entry that arms itself for the past one firing a tick', () => {
    const { clock, wheel, arm } = setUp();
    let firings = 0;
    const entry: Entry = arm(0, () => {
      if (++firings < 100) wheel.arm(entry, 0, clock.now());
    });
    clock.runSync();
    expect(firings).toBe(100);
    expect(clock.now()).toBe(100 * TICK_MS);
  });

  it('fires all that is due after the loop was blocked for several turns, and nothing else', () => {
    const { clock, fired, arm } = setUp();
    for (let i = 1; i <= 1000; i++) arm(i * 20);
    const real = clock.now.bind(clock);
    let blocked = 0;
    clock.now = () => real() + blocked;
    clock.runSync(TICK_MS - 1);
    blocked = 3 * 512 * TICK_MS;
    clock.runSync(TICK_MS);
    const late = clock.now();
    expect(fired.length).toBe(Math.floor(late / 20));
    expect(fired.every(({ deadline }) => deadline <= late)).toBe(true);
    clock.runSync();
    expect(fired).toHaveLength(1000);
  });

  it('goes on when a callback throws', () => {
    const { clock, fired, errors, arm } = setUp();
    arm(10, () => {
      throw new Error('broken');
    });
    arm(10);
    clock.runSync();
    expect(fired).toHaveLength(2);
    expect(errors).toHaveLength(1);
  });

  it('has one clock timer however many are armed, and none soon after the last left', () => {
    const { clock, wheel, arm } = setUp();
    const entries = Array.from({ length: 1000 }, (_, i) => arm(1000 + i));
    expect(clock.pending).toBe(1);
    for (const entry of entries) wheel.disarm(entry);
    clock.runSync(TICK_MS);
    expect(clock.pending).toBe(0);
  });

  it('fires an entry armed after an idle hour in time', () => {
    const { clock, fired, arm } = setUp();
    arm(5);
    clock.timer(3_600_001, () => arm(clock.now() + 100));
    clock.runSync();
    expect(fired[1]?.at).toBeLessThanOrEqual(3_600_101 + TICK_MS);
  });

  it('holds 100,000 entries, disarms half and fires half', () => {
    const { clock, wheel, fired, arm } = setUp();
    const entries = Array.from({ length: 100_000 }, (_, i) => arm((i * 7919) % 60_000));
    for (let i = 0; i < entries.length; i += 2) wheel.disarm(entries[i] as Entry);
    expect(wheel.size).toBe(50_000);
    clock.runSync();
    expect(fired).toHaveLength(50_000);
    expect(fired.every(({ deadline, at }) => at >= deadline && at - deadline <= TICK_MS)).toBe(true);
  });
});
