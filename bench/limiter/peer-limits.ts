/**
 * Limits of the field, written from their published formulas and defaults, as plain gates without a queue: that is how their owners use them.
 * @see Netflix concurrency-limits (AIMDLimit, VegasLimit, Gradient2Limit, WindowedLimit), Envoy's adaptive concurrency filter
 */
import type { Admission, Arrival, OverloadServer } from 'evenkeel/sim';

/** Hears of each call that ended; `inFlight` is what it found, itself included. */
export interface PeerLimit {
  readonly value: number;
  onEnd(latencyMs: number, inFlight: number, nowMs: number): void;
}

export function gateOf(make: () => PeerLimit): (server: OverloadServer) => Admission {
  return ({ simulation: { clock } }) => {
    const limit = make();
    let inFlight = 0;
    return {
      get limit() {
        return limit.value;
      },
      arrive(arrival) {
        if (inFlight >= Math.max(1, Math.floor(limit.value))) {
          arrival.refuse();
          return;
        }
        inFlight++;
        const startedAt = clock.now();
        arrival.serve(() => {
          limit.onEnd(clock.now() - startedAt, inFlight, clock.now());
          inFlight--;
        });
      },
    };
  };
}

export function fixedPeer(value: number): PeerLimit {
  return { value, onEnd: () => {} };
}

/** Defaults: 20 to 200, back-off 0.9, timeout 5 s. */
export function netflixAimd(): PeerLimit {
  let value = 20;
  return {
    get value() {
      return value;
    },
    onEnd(latencyMs, inFlight) {
      if (latencyMs > 5000) value = Math.max(20, Math.floor(value * 0.9));
      else if (inFlight * 2 >= value) value = Math.min(200, value + 1);
    },
  };
}

/** Windows of one second and at least ten samples, as WindowedLimit makes them; their mean counts. */
function windowed(update: (latencyMs: number, mostInFlight: number) => void): PeerLimit['onEnd'] {
  let startedAt = 0;
  let count = 0;
  let sum = 0;
  let most = 0;
  return (latencyMs, inFlight, nowMs) => {
    count++;
    sum += latencyMs;
    most = Math.max(most, inFlight);
    if (nowMs - startedAt < 1000 || count < 10) return;
    update(sum / count, most);
    startedAt = nowMs;
    count = 0;
    sum = 0;
    most = 0;
  };
}

/** Defaults: 20 to 1000, alpha 3 log10 L, beta 6 log10 L, probes of the unloaded latency every 30 L samples. */
export function netflixVegas(random: () => number): PeerLimit {
  let value = 20;
  let noLoad = Number.POSITIVE_INFINITY;
  let samples = 0;
  let jitter = 0.5 + random() / 2;
  return {
    get value() {
      return value;
    },
    onEnd: (latencyMs, inFlight) => {
      if (++samples >= jitter * 30 * value) {
        samples = 0;
        jitter = 0.5 + random() / 2;
        noLoad = latencyMs;
        return;
      }
      if (latencyMs < noLoad) {
        noLoad = latencyMs;
        return;
      }
      if (inFlight * 2 < value) return;
      const log = Math.max(1, Math.log10(value));
      const queue = Math.ceil(value * (1 - noLoad / latencyMs));
      if (queue <= log) value += 6 * log;
      else if (queue < 3 * log) value += log;
      else if (queue > 6 * log) value -= log;
      value = Math.max(1, Math.min(1000, value));
    },
  };
}

/** Defaults: 20 to 200, smoothing 0.2, queue 4, tolerance 1.5, long window 600; `min` 1 as services of few slots need. */
export function netflixGradient2(min: number): PeerLimit {
  let value = 20;
  let long = 0;
  let seen = 0;
  return {
    get value() {
      return value;
    },
    onEnd: windowed((short, most) => {
      seen++;
      long = seen <= 10 ? long + (short - long) / seen : long + (2 / 601) * (short - long);
      if (long / short > 2) long *= 0.95;
      if (most < value / 2) return;
      const gradient = Math.max(0.5, Math.min(1, (1.5 * long) / short));
      value = Math.max(min, Math.min(200, value * 0.8 + 0.2 * (value * gradient + 4)));
    }),
  };
}

/** Defaults: windows of 100 ms, p50, buffer 25 %, at most 1000; the unloaded latency over 50 requests at concurrency 3, every 60 s. */
export function envoyGradient(): PeerLimit {
  let value = 3;
  let minRtt = Number.NaN;
  let measured: number[] | undefined = [];
  let measuredAt = 0;
  let saved = 20;
  let startedAt = 0;
  let samples: number[] = [];
  let windowsAtMin = 0;
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] as number;
  const measure = () => {
    saved = Math.max(3, value);
    value = 3;
    measured = [];
  };
  return {
    get value() {
      return value;
    },
    onEnd(latencyMs, _inFlight, nowMs) {
      if (measured !== undefined) {
        measured.push(latencyMs);
        if (measured.length < 50) return;
        minRtt = median(measured);
        measured = undefined;
        measuredAt = nowMs;
        value = saved;
        startedAt = nowMs;
        samples = [];
        return;
      }
      samples.push(latencyMs);
      if (nowMs - startedAt < 100 || samples.length < 5) return;
      const gradient = Math.max(0.5, Math.min(2, (1.25 * minRtt) / median(samples)));
      const next = gradient * value;
      value = Math.max(3, Math.min(1000, next + Math.sqrt(next)));
      windowsAtMin = value <= 3 ? windowsAtMin + 1 : 0;
      startedAt = nowMs;
      samples = [];
      if (nowMs - measuredAt > 60_000 || windowsAtMin >= 5) {
        windowsAtMin = 0;
        measure();
      }
    },
  };
}

/**
 * CoDel and adaptive LIFO on as many slots as the server has, which it is told: 5 ms and 100 ms, at most ten times the slots wait.
 * @see Maurer, "Fail at Scale", ACM Queue 2015
 */
export function codelLifo({ simulation: { clock }, slots }: OverloadServer): Admission {
  let running = 0;
  let emptyAt = 0;
  let waiting: { arrival: Arrival; isOver: boolean }[] = [];
  let size = 0;
  const run = (arrival: Arrival) => {
    running++;
    arrival.serve(() => {
      running--;
      const isBusy = clock.now() - emptyAt > 100;
      while (running < slots && size > 0) {
        const next = isBusy ? waiting.pop() : waiting.shift();
        if (next === undefined || next.isOver) continue;
        next.isOver = true;
        size--;
        run(next.arrival);
      }
      if (size === 0) waiting = [];
      if (size === 0) emptyAt = clock.now();
    });
  };
  return {
    limit: slots,
    arrive(arrival) {
      if (running < slots) {
        emptyAt = clock.now();
        run(arrival);
        return;
      }
      if (size >= 10 * slots) {
        arrival.refuse();
        return;
      }
      const entry = { arrival, isOver: false };
      waiting.push(entry);
      size++;
      clock.timer(clock.now() - emptyAt > 100 ? 5 : 100, () => {
        if (entry.isOver) return;
        entry.isOver = true;
        size--;
        arrival.refuse();
      });
    },
  };
}
