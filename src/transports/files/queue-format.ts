/**
 * What the frames of a queue's log say. Every record states what holds from then on, not what to add to what was: a record that is
 * applied to a state which shows it already changes nothing. Snapshots may therefore be written while the queue goes on.
 */
import { EvenkeelError } from '../../core/errors.js';
import type { DeadLetter } from '../../core/transport/queue.js';
import { type Frame, FrameWriter } from './queue-frames.js';

export interface EnqueuedItem {
  readonly id: number;
  readonly body: Uint8Array;
  readonly key: string | undefined;
  /** Wall-clock milliseconds. */
  readonly notBefore: number | undefined;
}

/** An item as a snapshot has it. */
export interface ItemRecord extends EnqueuedItem {
  readonly attempts: number;
  readonly fence: number;
  /** Of the lease that holds it. */
  readonly leaseMs: number | undefined;
}

export interface LeaseRecord {
  readonly id: number;
  readonly fence: number;
  readonly attempts: number;
}

export type QueueRecord =
  /** One batch is one frame, so that a crash leaves all of it or nothing. */
  | { readonly type: 'enqueue'; readonly items: readonly EnqueuedItem[] }
  /** Leased, or extended: `leaseMs` from here. */
  | { readonly type: 'lease'; readonly leaseMs: number; readonly leases: readonly LeaseRecord[] }
  | { readonly type: 'ack'; readonly id: number }
  | { readonly type: 'nack'; readonly id: number; readonly attempts: number; readonly notBefore: number }
  | { readonly type: 'bury'; readonly id: number; readonly attempts: number; readonly reason: string }
  /** Fences up to this one may be given out without another word. */
  | { readonly type: 'fences'; readonly reserved: number }
  // The rest stands in snapshots: this first, then items and letters, then the end.
  | { readonly type: 'counters'; readonly nextId: number; readonly reserved: number }
  | { readonly type: 'item'; readonly item: ItemRecord }
  | { readonly type: 'letter'; readonly letter: DeadLetter }
  /** Frames of this snapshot before this one. */
  | { readonly type: 'end'; readonly frames: number };

/** By their number in the file; 0 is a mark. */
const TYPES = [
  undefined,
  'enqueue',
  'lease',
  'ack',
  'nack',
  'bury',
  'fences',
  'counters',
  'item',
  'letter',
  'end',
] as const satisfies readonly (QueueRecord['type'] | undefined)[];
/** Id, start time, length of the key, length of the body. */
const ITEM_BYTES = 8 + 8 + 4 + 4;
const LEASE_BYTES = 8 + 8 + 4;
const NONE = -1;

export function encodeRecord(record: QueueRecord): Buffer {
  const { type } = record;
  const frame = (payloadBytes: number) => new FrameWriter(TYPES.indexOf(type), payloadBytes);
  switch (type) {
    case 'enqueue': {
      const writer = frame(4 + record.items.reduce((sum, item) => sum + itemBytes(item), 0)).count(record.items.length);
      for (const item of record.items) writeItem(writer, item);
      return writer.end();
    }
    case 'lease': {
      const writer = frame(12 + record.leases.length * LEASE_BYTES)
        .number(record.leaseMs)
        .count(record.leases.length);
      for (const { id, fence, attempts } of record.leases) writer.number(id).number(fence).count(attempts);
      return writer.end();
    }
    case 'ack':
      return frame(8).number(record.id).end();
    case 'nack':
      return frame(20).number(record.id).count(record.attempts).number(record.notBefore).end();
    case 'bury':
      return frame(12 + Buffer.byteLength(record.reason))
        .number(record.id)
        .count(record.attempts)
        .text(record.reason)
        .end();
    case 'fences':
      return frame(8).number(record.reserved).end();
    case 'counters':
      return frame(16).number(record.nextId).number(record.reserved).end();
    case 'item': {
      const { attempts, fence, leaseMs } = record.item;
      const writer = frame(20 + itemBytes(record.item))
        .count(attempts)
        .number(fence)
        .number(leaseMs ?? NONE);
      return writeItem(writer, record.item).end();
    }
    case 'letter': {
      const { id, attempts, body, reason } = record.letter;
      return frame(16 + body.byteLength + Buffer.byteLength(reason))
        .number(id)
        .count(attempts)
        .count(body.byteLength)
        .bytes(body)
        .text(reason)
        .end();
    }
    case 'end':
      return frame(8).number(record.frames).end();
  }
}

/** @throws {EvenkeelError} `unimplemented` for a record that a later version wrote. */
export function decodeRecord({ type: number, payload }: Frame): QueueRecord {
  const type = TYPES[number];
  switch (type) {
    case 'enqueue': {
      const items = Array.from({ length: payload.count() }, () => readItem(payload));
      return { type, items };
    }
    case 'lease': {
      const leaseMs = payload.number();
      const leases = Array.from({ length: payload.count() }, () => {
        return { id: payload.number(), fence: payload.number(), attempts: payload.count() };
      });
      return { type, leaseMs, leases };
    }
    case 'ack':
      return { type, id: payload.number() };
    case 'nack':
      return { type, id: payload.number(), attempts: payload.count(), notBefore: payload.number() };
    case 'bury':
      return { type, id: payload.number(), attempts: payload.count(), reason: payload.text() };
    case 'fences':
      return { type, reserved: payload.number() };
    case 'counters':
      return { type, nextId: payload.number(), reserved: payload.number() };
    case 'item': {
      const [attempts, fence, leaseMs] = [payload.count(), payload.number(), payload.number()];
      return { type, item: { ...readItem(payload), attempts, fence, leaseMs: leaseMs === NONE ? undefined : leaseMs } };
    }
    case 'letter': {
      const [id, attempts] = [payload.number(), payload.count()];
      return { type, letter: { id, attempts, body: payload.bytes(payload.count()), reason: payload.text() } };
    }
    case 'end':
      return { type, frames: payload.number() };
    default:
      throw new EvenkeelError('unimplemented', `the queue has a record of type ${number}, which this version does not know`);
  }
}

function itemBytes({ key, body }: EnqueuedItem): number {
  return ITEM_BYTES + (key === undefined ? 0 : Buffer.byteLength(key)) + body.byteLength;
}

/** A key is never empty: a length of 0 says that there is none. */
function writeItem(writer: FrameWriter, { id, notBefore, key = '', body }: EnqueuedItem): FrameWriter {
  writer
    .number(id)
    .number(notBefore ?? NONE)
    .count(Buffer.byteLength(key))
    .count(body.byteLength);
  return writer.text(key).bytes(body);
}

function readItem(payload: Frame['payload']): EnqueuedItem {
  const [id, notBefore, keyBytes, bodyBytes] = [payload.number(), payload.number(), payload.count(), payload.count()];
  const key = keyBytes === 0 ? undefined : payload.text(keyBytes);
  return { id, key, body: payload.bytes(bodyBytes), notBefore: notBefore === NONE ? undefined : notBefore };
}
