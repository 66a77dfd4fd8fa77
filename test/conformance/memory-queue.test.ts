import { createMemoryQueue, memoryQueueStore } from 'evenkeel/memory';
import { queueConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { memorySession } from '../support/memory-session.js';

const suite = queueConformance({
  traits: { durable: true, wallTime: true, minLeaseMs: 100, marginMs: 0 },
  async open() {
    const store = memoryQueueStore();
    return memorySession((clock) => () => createMemoryQueue({ clock, store }));
  },
});

describe('memory queue', () => {
  for (const { name, run } of suite) it(name, run);
});
