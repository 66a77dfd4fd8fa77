import { createMemoryBlob, memoryBlobStore } from 'evenkeel/memory';
import { blobConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { memorySession } from '../support/memory-session.js';

const suite = blobConformance({
  traits: { durable: true, maxBuffers: 1, checksums: false, largeBytes: 5_000_001 },
  async open() {
    const store = memoryBlobStore();
    return memorySession(() => () => createMemoryBlob({ store }));
  },
});

describe('memory blob', () => {
  for (const { name, run } of suite) it(name, run);
});
