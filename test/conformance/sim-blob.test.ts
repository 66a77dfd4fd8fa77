import { blobConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { simSession } from '../support/sim-session.js';

const suite = blobConformance({
  traits: { durable: true, maxBuffers: 1, checksums: false, largeBytes: 5_000_001 },
  open: () =>
    simSession((simulation, machine) => {
      const store = simulation.blobStore(machine);
      return (process) => simulation.blobs(process, store);
    }),
});

describe('simulated blob', () => {
  for (const { name, run } of suite) it(name, run);
});
