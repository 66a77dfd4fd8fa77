import { createMemoryState, memoryStateStore } from 'evenkeel/memory';
import { seededRandom, stateConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { memorySession } from '../support/memory-session.js';

const suite = stateConformance({
  traits: { durable: true, wallTime: true, minLeaseMs: 100, leaseMarginMs: 0, headEveryMs: 1000, everyChange: true },
  async open() {
    const store = memoryStateStore({ random: seededRandom(1) });
    return memorySession((clock) => () => createMemoryState({ clock, store }));
  },
});

describe('memory state', () => {
  for (const { name, run } of suite) it(name, run);
});
