/** The process's clock, moved: ahead, its calendar elsewhere, or as fast as the clock of another machine. */
import { type Clock, liveClock } from 'evenkeel/core';

export interface MovedClock extends Clock {
  /** Monotonic milliseconds ahead. What is set goes off in its time, all the same. */
  aheadMs: number;
  /** Milliseconds the calendar is ahead, or behind. */
  calendarAheadMs: number;
}

/** @param options.rate - Milliseconds that pass on it in one of ours. Default 1. */
export function movedClock(options: { calendarAheadMs?: number; rate?: number } = {}): MovedClock {
  const { calendarAheadMs = 0, rate = 1 } = options;
  const live = liveClock();
  return {
    aheadMs: 0,
    calendarAheadMs,
    now() {
      return live.now() * rate + this.aheadMs;
    },
    coarse() {
      return live.coarse() * rate + this.aheadMs;
    },
    wallTime() {
      return live.wallTime() + this.calendarAheadMs;
    },
    sleep: (ms, signal, holds) => live.sleep(ms / rate, signal, holds),
    timer: (ms, fire, holds) => live.timer(ms / rate, fire, holds),
  };
}
