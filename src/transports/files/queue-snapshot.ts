/**
 * Compaction: what is left of a log, as one file.
 *
 * What does it show, when the queue goes on while it is written? The items of the moment of the cut, each as it is when its turn
 * comes. Records behind the cut state what holds, so applying them to an item that shows them already changes nothing.
 *
 * A crash leaves a temporary file, or the snapshot beside the segments it replaces, which the next start ignores and removes.
 */
import type { DeadLetter } from '../../core/transport/queue.js';
import { closeAfter, unlinkIfThere, writeAll } from './file-steps.js';
import type { QueueFolder } from './queue-folder.js';
import { encodeRecord, type ItemRecord, type QueueRecord } from './queue-format.js';
import { encodeHeader } from './queue-frames.js';

export interface SnapshotContent {
  /** Of the cut. */
  readonly lsn: number;
  readonly nextId: number;
  readonly reserved: number;
  readonly items: readonly ItemRecord[];
  readonly letters: readonly DeadLetter[];
}

/** Written at a time; between two steps the queue's own writes have their turn. */
const STEP_BYTES = 512 * 1024;

/**
 * Resolves with the bytes of the snapshot.
 * @param mayPublish - Asked last; rejects when the folder is no longer ours.
 */
export async function writeSnapshot(
  folder: QueueFolder,
  content: SnapshotContent,
  mayPublish: () => Promise<void>,
): Promise<number> {
  const { file, path } = await folder.createTemporary();
  let isWhole = false;
  let position = 0;
  try {
    try {
      for (const step of stepsOf(content)) {
        await writeAll(file, step, position);
        position += step.byteLength;
      }
      await file.datasync();
      await mayPublish();
      isWhole = true;
    } finally {
      await closeAfter(file, isWhole);
    }
    await folder.publishSnapshot(path, content.lsn);
  } catch (error) {
    await unlinkIfThere(folder.fs, path).catch(() => {});
    throw error;
  }
  return position;
}

function* stepsOf(content: SnapshotContent): Iterable<Buffer> {
  let parts: Uint8Array[] = [encodeHeader('snapshot', content.lsn)];
  let bytes = 0;
  for (const record of recordsOf(content)) {
    const frame = encodeRecord(record);
    parts.push(frame);
    bytes += frame.byteLength;
    if (bytes < STEP_BYTES) continue;
    yield Buffer.concat(parts);
    parts = [];
    bytes = 0;
  }
  yield Buffer.concat(parts);
}

function* recordsOf({ nextId, reserved, items, letters }: SnapshotContent): Iterable<QueueRecord> {
  yield { type: 'counters', nextId, reserved };
  for (const item of items) yield { type: 'item', item };
  for (const letter of letters) yield { type: 'letter', letter };
  yield { type: 'end', frames: 1 + items.length + letters.length };
}
