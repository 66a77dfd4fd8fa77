import { queueConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { simSession } from '../support/sim-session.js';

const suite = queueConformance({
  traits: { durable: true, wallTime: true, minLeaseMs: 100, marginMs: 20 },
  open: () =>
    simSession((simulation, machine) => {
      const store = simulation.queueStore(machine);
      return (process) => simulation.queue(process, store);
    }),
});

describe('simulated queue', () => {
  for (const { name, run } of suite) it(name, run);
});
