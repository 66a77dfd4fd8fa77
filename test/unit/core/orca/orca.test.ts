import { describe, expect, it } from 'vitest';
import { HEADERS } from '../../../../src/core/headers.js';
import { decodeBinary, encodeBinary } from '../../../../src/core/orca/binary.js';
import { decodeLoadHeader, encodeLoadHeader, MAX_WRITTEN_LENGTH, readLoadHeaders } from '../../../../src/core/orca/header.js';
import { decodeText, encodeText } from '../../../../src/core/orca/text.js';

const invalid = expect.objectContaining({ name: 'EvenkeelError', code: 'invalid-argument' });
const base64 = (bytes: Iterable<number>) => Buffer.from([...bytes]).toString('base64');
const REPORT = { cpuUtilization: 0.5, rps: 12, namedMetrics: { host: 3 } };

describe('what the field sends', () => {
  it.each<[string, string, object]>([
    ['the TEXT word', 'TEXT cpu_utilization=0.5,rps_fractional=12,named_metrics.host=3', REPORT],
    ['no TEXT word', 'cpu_utilization=0.5,rps_fractional=12,named_metrics.host=3', REPORT],
    ['lower case', 'text cpu_utilization=0.5,rps_fractional=12,named_metrics.host=3', REPORT],
    ['spaces after commas', 'TEXT cpu_utilization=0.5, rps_fractional=12,  named_metrics.host=3 ', REPORT],
    ['colons', 'TEXT cpu_utilization:0.5,rps_fractional: 12,named_metrics.host:3', REPORT],
    ['the older rps', 'TEXT cpu_utilization=0.5,rps=12,named_metrics.host=3', REPORT],
    ['both kinds of rps', 'TEXT rps=11,cpu_utilization=0.5,rps_fractional=12,named_metrics.host=3', REPORT],
    ['unknown names', 'TEXT color=1,cpu_utilization=0.5,rps=12,named_metrics.host=3,a.b=4', REPORT],
    ['exponents', 'TEXT cpu_utilization=5e-1,rps_fractional=+1.2E1,named_metrics.host=.3e1', REPORT],
    ['a trailing comma', 'TEXT cpu_utilization=0.5,rps=12,named_metrics.host=3,', REPORT],
    ['nothing after TEXT', 'TEXT', {}],
    ['the JSON word', 'JSON {"cpu_utilization":0.5,"rps_fractional":12,"named_metrics":{"host":3}}', REPORT],
    ['JSON without it', '{"cpu_utilization":0.5,"rps_fractional":12,"named_metrics":{"host":3}}', REPORT],
    ['camelCase', 'JSON {"cpuUtilization":0.5,"rpsFractional":12,"namedMetrics":{"host":3}}', REPORT],
    ['numbers as strings', 'JSON {"cpu_utilization":"0.5","rps":"12","named_metrics":{"host":"3"}}', REPORT],
    ['unknown JSON fields', 'JSON {"x":[{"y":1}],"cpu_utilization":0.5,"rps":12,"named_metrics":{"host":3}}', REPORT],
    [
      "vLLM's part of the fields",
      'JSON {"named_metrics": {"kv_cache_usage_perc": 0.1, "num_requests_waiting": 0}}',
      { namedMetrics: { kv_cache_usage_perc: 0.1, num_requests_waiting: 0 } },
    ],
    [
      "vLLM's text",
      'TEXT named_metrics.kv_cache_usage_perc=0.1, named_metrics.num_requests_waiting=2.0',
      { namedMetrics: { kv_cache_usage_perc: 0.1, num_requests_waiting: 2 } },
    ],
    ['binary', `BIN ${base64(encodeBinary(REPORT))}`, REPORT],
    ['binary without padding', `bin ${base64(encodeBinary(REPORT)).replace(/=+$/, '')}`, REPORT],
    ['an empty binary', 'BIN ', {}],
  ])('is read with %s', (_what, value, report) => {
    expect(decodeLoadHeader(value)).toEqual(report);
  });

  it('is read from the older headers with a suffix, the binary one first', () => {
    const binary = base64(encodeBinary({ rps: 1 }));
    expect(readLoadHeaders(['Endpoint-Load-Metrics-Bin', binary, 'endpoint-load-metrics', 'rps=2'])).toEqual({ rps: 1 });
    expect(readLoadHeaders(['x', 'y', HEADERS.loadJson.text, '{"rps":3}'])).toEqual({ rps: 3 });
    expect(readLoadHeaders([Buffer.from('ENDPOINT-LOAD-METRICS'), Buffer.from('TEXT rps=4')])).toEqual({ rps: 4 });
    expect(readLoadHeaders(['x', 'y'])).toBeUndefined();
  });
});

describe('what is refused', () => {
  it.each([
    'TEXT cpu_utilization=NaN',
    'TEXT cpu_utilization=Infinity',
    'TEXT cpu_utilization=-inf',
    'TEXT cpu_utilization=1e999',
    'TEXT cpu_utilization=0x10',
    'TEXT cpu_utilization=',
    'TEXT cpu_utilization',
    'TEXT =1',
    'TEXT named_metrics.=1',
    'TEXT rps_fractional=1,rps_fractional=1',
    'TEXT rps=1,rps=1',
    'TEXT named_metrics.a=1,named_metrics.a=2',
    'TEXT named_metrics.a=1,named_metrics.%61=2',
    `TEXT named_metrics.${'x'.repeat(257)}=1`,
    `TEXT ${Array.from({ length: 257 }, (_, i) => `named_metrics.${i}=1`).join()}`,
    'JSON {"cpu_utilization":"NaN"}',
    'JSON {"cpu_utilization":1e999}',
    'JSON {"cpu_utilization":"-Infinity"}',
    'JSON {"cpu_utilization":""}',
    'JSON {"cpu_utilization":true}',
    'JSON {"named_metrics":{"a":{}}}',
    'JSON {"named_metrics":[1]}',
    'JSON {"cpu_utilization":1,"cpu_utilization":1}',
    'JSON {"cpu_utilization":1,"cpuUtilization":1}',
    'JSON {"named_metrics":{"a":1,"a":1}}',
    'JSON {"named_metrics":{"a":1,"\\u0061":1}}',
    'JSON {"named_metrics":{"":1}}',
    `JSON {"named_metrics":{${Array.from({ length: 257 }, (_, i) => `"${i}":1`).join()}}}`,
    'JSON {',
    'JSON',
    'JSON []',
    'JSON null',
    `JSON {"x":${'['.repeat(8000)}${']'.repeat(8000)}`,
    'BIN !!!!',
    `BIN ${base64([0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f])}`,
    `BIN ${base64([...encodeBinary({ rps: 1 }), ...encodeBinary({ rps: 1 })])}`,
    `BIN ${base64([0x18, 1, 0x18, 1])}`,
    `BIN ${base64([...encodeBinary({ namedMetrics: { a: 1 } }), ...encodeBinary({ namedMetrics: { a: 1 } })])}`,
    `BIN ${base64(new Uint8Array(11).fill(0xff))}`,
    `BIN ${base64([0x00])}`,
    'x'.repeat(16 * 1024 + 1),
  ])('is %s', (value) => {
    expect(() => decodeLoadHeader(value)).toThrow(invalid);
  });

  it('does not overflow the stack, however deep the JSON', () => {
    const value = `JSON {"x":${'['.repeat(8000)}${']'.repeat(8000)}}`;
    expect(decodeLoadHeader(value)).toEqual({});
    expect(() => decodeLoadHeader(`JSON {"x":${'{"a":'.repeat(2700)}1${'}'.repeat(2700)},"x":1}`)).toThrow(invalid);
  });

  it.each([3, 4, 6, 7])('is a field of wire type %i', (type) => {
    expect(() => decodeBinary(Uint8Array.of((1 << 3) | type, 0, 0, 0, 0, 0, 0, 0, 0))).toThrow(invalid);
  });

  it('is a binary report that ends at any byte but its last', () => {
    const report = { cpuUtilization: 0.5, requestCost: { a: 1 }, utilization: { b: 0.5 }, namedMetrics: { 'model:x': 3, y: 1 } };
    const bytes = encodeBinary(report);
    const borders = new Set([0]);
    for (const part of [
      { cpuUtilization: 0.5 },
      { requestCost: { a: 1 } },
      { utilization: { b: 0.5 } },
      { namedMetrics: { 'model:x': 3 } },
    ]) {
      borders.add(Math.max(...borders) + encodeBinary(part).length);
    }
    for (let length = 0; length < bytes.length; length++) {
      const cut = () => decodeBinary(bytes.subarray(0, length));
      if (borders.has(length)) expect(cut).not.toThrow();
      else expect(cut, `cut at ${length}`).toThrow(invalid);
    }
    expect(decodeBinary(bytes)).toEqual(report);
  });

  it('is a header that stands twice, in any of the three names', () => {
    for (const name of [HEADERS.load, HEADERS.loadJson, HEADERS.loadBinary]) {
      expect(() => readLoadHeaders([name.text, '{}', name.text.toUpperCase(), '{}'])).toThrow(invalid);
      expect(() => readLoadHeaders([name.text, 'x'.repeat(16 * 1024 + 1)])).toThrow(invalid);
    }
  });

  it('is, when written, what no reader would take', () => {
    for (const format of ['text', 'json', 'binary'] as const) {
      expect(() => encodeLoadHeader({ rps: Number.NaN }, format)).toThrow(invalid);
      expect(() => encodeLoadHeader({ namedMetrics: { a: Number.POSITIVE_INFINITY } }, format)).toThrow(invalid);
      expect(() => encodeLoadHeader({ namedMetrics: { '': 1 } }, format)).toThrow(invalid);
      expect(() => encodeLoadHeader({ namedMetrics: { '\ud800': 1 } }, format)).toThrow(invalid);
      expect(() => encodeLoadHeader({ namedMetrics: { ['x'.repeat(257)]: 1 } }, format)).toThrow(invalid);
      const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`some-long-name-${i}`, i]));
      expect(() => encodeLoadHeader({ namedMetrics: many }, format)).toThrow(`at most ${MAX_WRITTEN_LENGTH}`);
    }
    expect(() => encodeLoadHeader({}, 'xml' as 'text')).toThrow(invalid);
  });
});

describe('what is tolerated', () => {
  it('skips a known field of another wire type, and unknown fields of every type, as protobuf does', () => {
    const unknown = [0x08, 0x05, 0x7a, 0x02, 1, 2, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7d, 1, 2, 3, 4];
    expect(decodeBinary(Uint8Array.from([...unknown, ...encodeBinary({ rps: 1 })]))).toEqual({ rps: 1 });
  });

  it('reads the older whole-number rps of binary reports, the fractional one first', () => {
    expect(decodeBinary(Uint8Array.of(0x18, 0xac, 0x02))).toEqual({ rps: 300 });
    expect(decodeBinary(Uint8Array.from([0x18, 1, ...encodeBinary({ rps: 1.5 })]))).toEqual({ rps: 1.5 });
  });

  it('writes text with six digits, and whole numbers whole', () => {
    expect(encodeText({ cpuUtilization: 1 / 3, rps: 12_345_678 })).toBe('TEXT cpu_utilization=0.333333,rps_fractional=12345678');
  });

  it('keeps a % that is no escape', () => {
    expect(decodeText('named_metrics.load%=1')).toEqual({ namedMetrics: { 'load%': 1 } });
  });
});
