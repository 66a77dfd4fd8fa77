import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord, type QueueRecord } from '../../../../src/transports/files/queue-format.js';
import {
  encodeHeader,
  encodeMark,
  frameAt,
  hasMarkFrom,
  isHeader,
  isMark,
} from '../../../../src/transports/files/queue-frames.js';

const id = fc.maxSafeNat();
const attempts = fc.nat();
const body = fc.uint8Array({ maxLength: 300 });
const key = fc.option(fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), { nil: undefined });
const text = fc.string({ maxLength: 40, unit: 'grapheme' });
const time = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true });
const notBefore = fc.option(time, { nil: undefined });
const of = <T extends QueueRecord['type']>(type: T) => fc.constant(type);
const item = fc.record({ id, body, key, notBefore });
const record: fc.Arbitrary<QueueRecord> = fc.oneof(
  fc.record({ type: of('enqueue'), items: fc.array(item, { maxLength: 5 }) }),
  fc.record({ type: of('lease'), leaseMs: time, leases: fc.array(fc.record({ id, fence: id, attempts }), { maxLength: 5 }) }),
  fc.record({ type: of('ack'), id }),
  fc.record({ type: of('nack'), id, attempts, notBefore: time }),
  fc.record({ type: of('bury'), id, attempts, reason: text }),
  fc.record({ type: of('fences'), reserved: id }),
  fc.record({ type: of('counters'), nextId: id, reserved: id }),
  fc.record({
    type: of('item'),
    item: fc.record({ id, body, key, notBefore, attempts, fence: id, leaseMs: fc.option(time, { nil: undefined }) }),
  }),
  fc.record({ type: of('letter'), letter: fc.record({ id, body, attempts, reason: text }) }),
  fc.record({ type: of('end'), frames: id }),
);

describe('the format of a queue’s log', () => {
  it('brings every record back from its frame, wherever that stands', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 8 }), fc.nat(50), (records, before) => {
        const bytes = Buffer.concat([Buffer.alloc(before, 7), ...records.map(encodeRecord)]);
        let at = before;
        for (const expected of records) {
          const frame = frameAt(bytes, at);
          expect(frame && decodeRecord(frame)).toEqual(expected);
          at = frame?.end ?? 0;
        }
        expect(at).toBe(bytes.byteLength);
        expect(frameAt(bytes, at)).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  it('takes no frame that is cut or has one bit turned over', () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.nat(7), (value, place, bit) => {
        const good = encodeRecord(value);
        const at = place % good.byteLength;
        expect(frameAt(good.subarray(0, at), 0)).toBeUndefined();
        const bad = Buffer.from(good);
        bad.writeUInt8(bad.readUInt8(at) ^ (1 << bit), at);
        expect(frameAt(bad, 0)).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it('has no room for a frame without a type', () => {
    expect(frameAt(Buffer.alloc(64), 0)).toBeUndefined();
  });

  it('refuses a record of a later version', () => {
    const frame = frameAt(encodeRecord({ type: 'ack', id: 1 }), 0);
    expect(() => frame && decodeRecord({ ...frame, type: 200 })).toThrow(expect.objectContaining({ code: 'unimplemented' }));
  });

  it('knows a header by kind and number, and refuses another format', () => {
    const header = encodeHeader('segment', 12);
    expect(isHeader(header, 'segment', 12)).toBe(true);
    expect(isHeader(header, 'segment', 13)).toBe(false);
    expect(isHeader(header, 'snapshot', 12)).toBe(false);
    expect(isHeader(header.subarray(0, 19), 'segment', 12)).toBe(false);
    for (let at = 0; at < header.byteLength; at++) {
      const bad = Buffer.from(header);
      bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
      expect(isHeader(bad, 'segment', 12)).toBe(false);
    }
  });

  it('finds a mark by its own place only', () => {
    const mark = encodeMark(5, 100);
    const frame = frameAt(mark, 0);
    expect(frame && isMark(frame)).toBe(true);
    const at = (place: number) => Buffer.concat([Buffer.alloc(place), mark, Buffer.alloc(9)]);
    expect(hasMarkFrom(at(100), 0, 5)).toBe(true);
    expect(hasMarkFrom(at(100), 100, 5)).toBe(true);
    expect(hasMarkFrom(at(100), 110, 5)).toBe(false);
    expect(hasMarkFrom(at(101), 0, 5)).toBe(false);
    expect(hasMarkFrom(at(100), 0, 6)).toBe(false);
    expect(hasMarkFrom(at(100).subarray(0, 110), 0, 5)).toBe(false);
  });
});
