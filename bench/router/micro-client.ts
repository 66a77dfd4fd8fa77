/** R7: picks, report parsing, counting. A process of its own, for its flags. */
import { createLoadBoard, decodeLoadHeader, encodeLoadHeader, liveClock, liveHost, seededRandom } from 'evenkeel/core';
import {
  auto,
  leastLoaded,
  type PickerFactory,
  p2c,
  peakEwma,
  pickSet,
  random,
  roundRobin,
  weightedRoundRobin,
} from 'evenkeel/router';
import { costOf, type OperationCost } from '../support/per-operation.js';

const ENDPOINTS = 1000;
const clock = liveClock();
const seeded = seededRandom(7);
const addresses = Array.from({ length: ENDPOINTS }, (_, i) => ({
  id: `e${i}`,
  address: `http://10.0.${i >> 8}.${i & 255}:80`,
  weight: 1 + (i % 3),
}));

/** One a process: what is measured should meet the compiler as it does in a program that uses one of them. */
const picks: Record<string, () => OperationCost> = {
  'pick auto, 1000 endpoints': () => pickCost(auto(), ENDPOINTS),
  'pick auto, 16 endpoints': () => pickCost(auto(), 16),
  'pick auto with a model, 1000 endpoints': () => pickCost(auto(), ENDPOINTS, 'model:m'),
  'pick p2c, 1000 endpoints': () => pickCost(p2c(), ENDPOINTS),
  'pick p2c on reported load, 1000 endpoints': () => pickCost(p2c({ load: 'reported' }), ENDPOINTS),
  'pick power of 4, 1000 endpoints': () => pickCost(p2c({ choices: 4 }), ENDPOINTS),
  'pick peak ewma, 1000 endpoints': () => pickCost(peakEwma(), ENDPOINTS),
  'pick weighted round robin, 1000 endpoints': () => pickCost(weightedRoundRobin(), ENDPOINTS),
  'pick round robin, 1000 endpoints': () => pickCost(roundRobin(), ENDPOINTS),
  'pick random, 1000 endpoints': () => pickCost(random(), ENDPOINTS),
  'pick least loaded, 1000 endpoints': () => pickCost(leastLoaded(), ENDPOINTS),
  'pick least loaded, 16 endpoints': () => pickCost(leastLoaded(), 16),
};

function pickCost(make: PickerFactory, size: number, loadKey?: string): OperationCost {
  const set = pickSet(addresses.slice(0, size), clock);
  const now = clock.now();
  // Candidates as they are in service: answers behind them, calls in flight, a report that tells of other callers.
  set.candidates.forEach((candidate, i) => {
    candidate.begin(1, now, loadKey);
    candidate.begin(1, now, loadKey);
    candidate.onEnd('ok', 5 + (i % 17), 0, now);
    const host = 3 + (i % 5);
    candidate.onReport({ namedMetrics: loadKey === undefined ? { host } : { host: host + 4, [loadKey]: host } }, now);
  });
  const picker = make(seeded);
  const request = { now: now + 500, weight: 1, loadKey };
  return costOf(() => picker.pickIndex(set, request));
}

const report = { cpuUtilization: 0.31, rps: 120.5, namedMetrics: { host: 12, 'model:llama': 3 } };

const others: Record<string, () => OperationCost> = {};
for (const format of ['text', 'json', 'binary'] as const) {
  const header = encodeLoadHeader(report, format);
  others[`read a report, ${format}`] = () => costOf(() => decodeLoadHeader(header));
  others[`write a report, ${format}`] = () => costOf(() => encodeLoadHeader(report, format));
}
others['begin + end (a handle)'] = () => {
  const counter = createLoadBoard({ clock, host: liveHost() }).counter('bench');
  return costOf(() => counter.begin().end());
};
others['enter + leave (inner form)'] = () => {
  const counter = pickSet(['http://a:1'], clock).candidates[0]?.counter;
  return costOf((i) => {
    counter?.enter(1);
    counter?.leave(1, 'ok', i, i + 1);
  });
};

const operations = { ...picks, ...others };
const name = process.argv[2];
process.send?.(name === undefined ? Object.keys(operations) : operations[name]?.());
process.disconnect?.();
