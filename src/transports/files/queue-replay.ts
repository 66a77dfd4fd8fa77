/**
 * Reads a queue's folder from its newest snapshot to its end.
 *
 * Torn or damaged? A crash may leave the last write half on the disk: a bad frame at the end of the last segment is that, and the log
 * ends before it. A bad frame with a mark behind it, or before the next segment's name, was whole once and acknowledged: that is
 * `data-loss`, and nothing is changed. One thing cannot be told apart: damage to the last group of a process that was killed.
 *
 * What such a process wrote last may be in the system's memory only. It must be on the disk before anybody is given it.
 */
import { EvenkeelError } from '../../core/errors.js';
import type { DeadLetterBounds } from './queue-dead-letters.js';
import type { QueueFolder } from './queue-folder.js';
import { decodeRecord, type QueueRecord } from './queue-format.js';
import { type Frame, frameAt, HEADER_BYTES, hasMarkFrom, isHeader, isMark } from './queue-frames.js';
import { QueueImage } from './queue-image.js';
import type { LogStart } from './queue-log.js';

export interface Replayed {
  readonly image: QueueImage;
  readonly start: LogStart;
  /** Of the snapshot; older files are superfluous. */
  readonly firstLsn: number;
  /** The last segment as far as it counts, when its writer was killed. */
  readonly tail: { readonly lsn: number; readonly bytes: Uint8Array } | undefined;
}

/** @throws {EvenkeelError} `data-loss` naming the file and the place. */
export async function replay(folder: QueueFolder, bounds: DeadLetterBounds): Promise<Replayed> {
  const image = new QueueImage(bounds);
  const listing = await folder.list();
  const snapshot = listing.snapshots.at(-1);
  const firstLsn = snapshot ?? 1;
  const segments = listing.segments.filter((lsn) => lsn >= firstLsn);
  let [bytes, files] = [0, segments.length];
  if (snapshot !== undefined) {
    bytes += await replaySnapshot(folder, snapshot, image);
    files++;
  }
  if (segments.length > 0 && segments[0] !== firstLsn) throw damaged(folder.pathOf('segment', firstLsn), 0, 'it is missing');
  let lsn = firstLsn;
  let tail: Replayed['tail'];
  for (const [i, segment] of segments.entries()) {
    const content = await folder.read('segment', segment);
    const end = replaySegment(content, segment, segments[i + 1], folder.pathOf('segment', segment), image);
    bytes += end.at;
    lsn = end.lsn;
    if (!end.isSynced) tail = { lsn: segment, bytes: content.subarray(0, end.at) };
  }
  return { image, start: { lsn, replaces: segments.at(-1) === lsn, size: { bytes, files } }, firstLsn, tail };
}

/** Where the log goes on behind a segment. */
interface SegmentEnd {
  /** Of the next frame. */
  readonly lsn: number;
  readonly at: number;
  /** All before it is known to be on the disk. */
  readonly isSynced: boolean;
}

/** @param next - The name of the next segment. */
function replaySegment(bytes: Buffer, first: number, next: number | undefined, path: string, image: QueueImage): SegmentEnd {
  let lsn = first;
  let at = isHeader(bytes, 'segment', first) ? HEADER_BYTES : 0;
  let mark: SegmentEnd | undefined;
  while (next === undefined || lsn < next) {
    const frame = at === 0 ? undefined : frameAt(bytes, at);
    if (frame === undefined) {
      if (next === undefined && !hasMarkFrom(bytes, at, first)) break;
      throw damaged(path, at, at < bytes.byteLength ? 'a checksum is wrong' : `it ends before frame ${next}`);
    }
    mark = isMark(frame) ? { lsn, at, isSynced: true } : undefined;
    if (mark === undefined) image.apply(recordOf(frame, path, at));
    at = frame.end;
    lsn++;
  }
  // The mark that a log ends with when it was closed says nothing of itself: the log goes on in its place.
  return next === undefined && mark !== undefined ? mark : { lsn, at, isSynced: next !== undefined || lsn === first };
}

/** It was whole and synced before it got its name. */
async function replaySnapshot(folder: QueueFolder, lsn: number, image: QueueImage): Promise<number> {
  const path = folder.pathOf('snapshot', lsn);
  const bytes = await folder.read('snapshot', lsn);
  if (!isHeader(bytes, 'snapshot', lsn)) throw damaged(path, 0, 'its header is wrong');
  let at = HEADER_BYTES;
  for (let frames = 0; ; frames++) {
    const frame = frameAt(bytes, at);
    if (frame === undefined) throw damaged(path, at, 'a checksum is wrong, or it is cut short');
    const record = recordOf(frame, path, at);
    image.apply(record);
    at = frame.end;
    if (record.type !== 'end') continue;
    if (record.frames !== frames || at !== bytes.byteLength) throw damaged(path, at, 'frames are missing');
    return at;
  }
}

function recordOf(frame: Frame, path: string, at: number): QueueRecord {
  try {
    return decodeRecord(frame);
  } catch (error) {
    if (error instanceof EvenkeelError) throw error;
    throw damaged(path, at, 'a frame is not what it says');
  }
}

function damaged(path: string, offset: number, why: string): EvenkeelError {
  return new EvenkeelError('data-loss', `${path} is damaged at byte ${offset}: ${why}`, { details: { path, offset } });
}
