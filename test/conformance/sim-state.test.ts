import { stateConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { simSession } from '../support/sim-session.js';

const suite = stateConformance({
  traits: { durable: true, wallTime: true, minLeaseMs: 100, leaseMarginMs: 1, headEveryMs: 2000, everyChange: true },
  open: () =>
    simSession((simulation, machine) => {
      const store = simulation.stateStore(machine);
      return (process) => simulation.state(process, store);
    }),
});

describe('simulated state', () => {
  for (const { name, run } of suite) it(name, run);
});
