import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLoadBoard, seededRandom, virtualClock } from '../../src/core/index.js';
import { EndpointTable, type Member } from '../../src/router/endpoint-table.js';
import {
  auto,
  leastLoaded,
  type PickerEnvironment,
  type PickerFactory,
  p2c,
  peakEwma,
  prefixAffinity,
  probePool,
  random,
  ringHash,
  roundRobin,
  weightedRoundRobin,
} from '../../src/router/pickers/index.js';
import { FakeHost } from '../support/fake-host.js';
import { rounds } from '../support/rounds.js';

const pickers: Record<string, PickerFactory> = {
  random: random(),
  p2c: p2c(),
  'p2c of 3': p2c({ choices: 3 }),
  'p2c of 64': p2c({ choices: 64, load: 'reported' }),
  'least-loaded': leastLoaded(),
  'peak-ewma': peakEwma(),
  auto: auto(),
  'round-robin': roundRobin(),
  'weighted-round-robin': weightedRoundRobin(),
  'ring-hash': ringHash(),
  'ring-hash without a bound': ringHash({ loadFactor: Number.POSITIVE_INFINITY }),
  'prefix-affinity': prefixAffinity(),
  'probe-pool': probePool(),
};

/** Probes are answered when the test says so. */
class HeldProbes {
  readonly #asked: ((now: number) => void)[] = [];
  readonly environment: PickerEnvironment = {
    prober: () => ({
      isAllowed: () => this.#asked.length < 32,
      ask: (_candidate, _now, onOver) => {
        this.#asked.push((now) => onOver(this.#asked.length % 3 > 0, now));
      },
    }),
  };

  answer(now: number): void {
    for (const answer of this.#asked.splice(0)) answer(now);
  }
}

const request = fc.record({
  loadKey: fc.constantFrom(undefined, 'model:m', 'model:other'),
  affinity: fc.constantFrom(undefined, ['a'], ['a', 'b', 'c'], ['d']),
  weight: fc.constantFrom(1, 1e-6, 1e6),
});
const outcome = fc.constantFrom('ok', 'error', 'dropped', 'ignored');
/** What may happen to an endpoint between two picks. Extremes on purpose: servers report what they like. */
const figure = fc.oneof(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.constantFrom(0, Number.MIN_VALUE, 1e300));
const step = fc.oneof(
  fc.record({ do: fc.constant('end' as const), who: fc.nat(), outcome, latencyMs: figure, retryAfterMs: figure }),
  fc.record({ do: fc.constant('work' as const), who: fc.nat(), weight: fc.double({ min: 0.001, max: 1e6, noNaN: true }) }),
  fc.record({
    do: fc.constant('report' as const),
    who: fc.nat(),
    host: figure,
    rps: figure,
    load: figure,
    costMs: figure,
    outstandingMs: figure,
    key: fc.constantFrom(undefined, 'model:m', 'model:n'),
  }),
  fc.record({ do: fc.constant('probes' as const) }),
  fc.record({ do: fc.constant('state' as const), who: fc.nat(), isEjected: fc.boolean(), isHealthy: fc.boolean() }),
  fc.record({ do: fc.constant('resize' as const), size: fc.integer({ min: 1, max: 20 }), weight: fc.constantFrom(1, 1e-6, 1e9) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.double({ min: 0, max: 1e7, noNaN: true }) }),
);

describe.each(Object.keys(pickers))('%s, whatever has happened', (name) => {
  it('picks within the list, and nobody ejected or unhealthy while half of them are open', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.tuple(step, request), { maxLength: 60 }),
        (seed, size, steps) => {
          const load = createLoadBoard({ clock: virtualClock(), host: new FakeHost() });
          const table = new EndpointTable(load, 0.5, { onRemove() {}, onPanic() {} });
          const list = (count: number, weight = 1) =>
            Array.from({ length: count }, (_, i) => ({ id: `e${i}`, address: `memory://e${i}`, weight }));
          table.update(list(size));
          const probes = new HeldProbes();
          const picker = (pickers[name] as PickerFactory)(seededRandom(seed), probes.environment);
          let now = 0;
          for (const [one, asked] of steps) {
            const members = [...table.members()];
            const member = 'who' in one ? members[one.who % members.length] : undefined;
            if (one.do === 'wait') now += one.ms;
            else if (one.do === 'probes') probes.answer(now);
            else if (one.do === 'resize') table.update(list(one.size, one.weight));
            else if (member === undefined) continue;
            else if (one.do === 'end') member.onEnd(one.outcome, one.latencyMs, one.retryAfterMs, now);
            else if (one.do === 'work') member.counter.enter(one.weight);
            else if (one.do === 'report') {
              const { rps, load: applicationUtilization, host, costMs, outstandingMs, key } = one;
              const namedMetrics = { host, 'outstanding-ms': outstandingMs };
              member.onReport({ rps, applicationUtilization, requestCost: { ms: costMs }, namedMetrics }, now, 'test', key);
            } else {
              member.isEjected = one.isEjected;
              member.isHealthy = one.isHealthy;
              table.refresh();
            }
            const { candidates } = table;
            if (candidates.length === 0) continue;
            const at = { now, ...asked };
            const check = (index: number) =>
              expect(
                Number.isInteger(index) && index >= 0 && index < table.candidates.length,
                `${index} of ${table.candidates.length}`,
              ).toBe(true);
            if (picker.mustAsk?.(table, at)) picker.choose?.(table, at, check);
            const index = picker.pickIndex(table, at);
            check(index);
            picker.onPicked?.(table, candidates[index] as Member, at);
            for (const one of picker.compared?.() ?? []) check(one);
            if (!table.isPanicking) expect(candidates[index]?.isOpen).toBe(true);
            const open = [...table.members()].filter(({ isOpen }) => isOpen).length;
            expect(table.isPanicking).toBe(open < table.size * 0.5);
          }
        },
      ),
      { numRuns: rounds(60) },
    );
  });
});
