import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createFileState } from 'evenkeel/files';
import { stateConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { filesSession } from '../support/files-session.js';

const traits = { durable: true, wallTime: true, minLeaseMs: 100, leaseMarginMs: 60, headEveryMs: 1000, everyChange: true };
const folders = [tmpdir(), '/dev/shm'].filter((path) => existsSync(path));

describe.each(folders)('files state below %s', (parent) => {
  const suite = stateConformance({ traits, open: () => filesSession((place) => createFileState(place), parent) });
  for (const { name, run } of suite) it(name, run);
});
