import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createFileQueue, type FileQueueStore, fileQueueStore } from 'evenkeel/files';
import { queueConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { filesSession } from '../support/files-session.js';

const traits = { durable: true, wallTime: true, minLeaseMs: 100, marginMs: 0 };
const folders = [tmpdir(), '/dev/shm'].filter((path) => existsSync(path));

describe.each(folders)('files queue below %s', (parent) => {
  const open = () => {
    let store: FileQueueStore | undefined;
    return filesSession((place) => {
      store ??= fileQueueStore(place);
      return createFileQueue({ store });
    }, parent);
  };
  for (const { name, run } of queueConformance({ traits, open })) it(name, run);
});
