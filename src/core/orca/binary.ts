/** ORCA's binary form: the protobuf message. Eleven lines of schema need no protobuf library. */
import type { LoadReport } from '../load-report.js';
import {
  type Draft,
  eachField,
  finish,
  MAX_REPORT_METRICS,
  type MapField,
  malformed,
  type ScalarField,
  setMetric,
  setScalar,
} from './fields.js';

const SCALAR_NUMBERS: Readonly<Record<number, ScalarField>> = {
  1: 'cpuUtilization',
  2: 'memUtilization',
  6: 'rps',
  7: 'eps',
  9: 'applicationUtilization',
};
const MAP_NUMBERS: Readonly<Record<number, MapField>> = { 4: 'requestCost', 5: 'utilization', 8: 'namedMetrics' };
/** `rps` before it was fractional: a varint. */
const OLD_RPS = 3;

const NUMBERS: Readonly<Record<string, number>> = {
  cpu_utilization: 1,
  mem_utilization: 2,
  request_cost: 4,
  utilization: 5,
  rps_fractional: 6,
  eps: 7,
  named_metrics: 8,
  application_utilization: 9,
};

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

export function encodeBinary(report: LoadReport): Uint8Array {
  const parts: Uint8Array[] = [];
  eachField(
    report,
    'binary',
    (name, value) => parts.push(doubleField(NUMBERS[name] as number, value)),
    (map, name, value) => {
      const key = new TextEncoder().encode(name);
      const entry = Buffer.concat([bytesField(1, key), doubleField(2, value)]);
      parts.push(bytesField(NUMBERS[map] as number, entry));
    },
  );
  return Uint8Array.from(Buffer.concat(parts));
}

export function decodeBinary(bytes: Uint8Array): LoadReport {
  const draft: Draft = {};
  const reader = new Reader(bytes);
  let metrics = 0;
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    const scalar = SCALAR_NUMBERS[number];
    const map = MAP_NUMBERS[number];
    if (scalar !== undefined && type === FIXED64) setScalar(draft, scalar, reader.double(), 'binary');
    else if (number === OLD_RPS && type === VARINT) setScalar(draft, 'wholeRps', reader.varint(), 'binary');
    else if (map !== undefined && type === BYTES) {
      if (++metrics > MAX_REPORT_METRICS) throw malformed('binary', `more than ${MAX_REPORT_METRICS} metrics`);
      readEntry(draft, map, reader.bytes());
    } else reader.skip(type);
  }
  return finish(draft);
}

function readEntry(draft: Draft, map: MapField, entry: Uint8Array): void {
  const reader = new Reader(entry);
  let name = '';
  let value = 0;
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    if (number === 1 && type === BYTES) name = new TextDecoder('utf-8', { ignoreBOM: true }).decode(reader.bytes());
    else if (number === 2 && type === FIXED64) value = reader.double();
    else reader.skip(type);
  }
  setMetric(draft, map, name, value, 'binary');
}

function doubleField(number: number, value: number): Uint8Array {
  const field = Buffer.alloc(9);
  field[0] = (number << 3) | FIXED64;
  field.writeDoubleLE(value, 1);
  return field;
}

function bytesField(number: number, bytes: Uint8Array): Uint8Array {
  const head = [(number << 3) | BYTES];
  let length = bytes.length;
  while (length > 127) {
    head.push((length & 127) | 128);
    length >>>= 7;
  }
  head.push(length);
  return Buffer.concat([Uint8Array.from(head), bytes]);
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  tag(): { number: number; type: number } {
    const tag = this.varint();
    const number = Math.floor(tag / 8);
    if (number === 0) throw malformed('binary', 'field number 0');
    return { number, type: tag % 8 };
  }

  /** Beyond 2^53 the low bits are lost, which no rate of requests reaches. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed('binary', 'it ends midway');
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw malformed('binary', 'a varint of more than ten bytes');
  }

  double(): number {
    const at = this.#take(8);
    return this.#view.getFloat64(at, true);
  }

  bytes(): Uint8Array {
    const length = this.varint();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  skip(type: number): void {
    if (type === VARINT) this.varint();
    else if (type === FIXED64) this.#take(8);
    else if (type === BYTES) this.bytes();
    else if (type === FIXED32) this.#take(4);
    else throw malformed('binary', `wire type ${type}`);
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw malformed('binary', 'it ends midway');
    this.#at += length;
    return at;
  }
}
