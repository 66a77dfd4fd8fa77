import { decodeBinary, decodeLoadHeader, encodeBinary, encodeLoadHeader, isEvenkeelError, readLoadHeaders } from 'evenkeel/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rounds } from '../support/rounds.js';

/** Names that hold every separator of every format, and those of an object's prototype. */
const name = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom('a', ',', '=', ':', '%', ' ', '.', '"', '\\', '{', 'é', '日', '\uFEFF', '😀'),
    minLength: 1,
    maxLength: 8,
  }),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'rps', 'named_metrics', '%2C', '%', 'TEXT ', '1'),
);
const value = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }).map((number) => number + 0);
const metrics = fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, minLength: 1, maxLength: 4 }).map((entries) => {
  const map: Record<string, number> = Object.create(null);
  for (const [key, number] of entries) map[key] = number;
  return map;
});
const report = fc.record(
  {
    cpuUtilization: value,
    memUtilization: value,
    applicationUtilization: value,
    rps: value,
    eps: value,
    requestCost: metrics,
    utilization: metrics,
    namedMetrics: metrics,
  },
  { requiredKeys: [] },
);

/** Six significant digits, as TEXT writes fractions. */
function rounded(number: number): number {
  return Number.isInteger(number) ? number : Number(number.toPrecision(6));
}

function flat(map: object, change: (number: number) => number): [string, unknown][] {
  return Object.entries(map).map(([key, item]) => [key, typeof item === 'number' ? change(item) + 0 : flat(item, change).sort()]);
}

describe('a load report', () => {
  it.each(['binary', 'json', 'text'] as const)('comes back from %s as it went', (format) => {
    fc.assert(
      fc.property(report, (sent) => {
        let header: string;
        try {
          header = encodeLoadHeader(sent, format);
        } catch (error) {
          // Too long for a header: the only reason to refuse what has finite numbers and good names.
          expect(String(error)).toContain('at most 1024');
          return;
        }
        expect(header).toMatch(/^[\x20-\x7e]*$/);
        const change = format === 'text' ? rounded : (number: number) => number;
        expect(flat(decodeLoadHeader(header), (number) => number).sort()).toEqual(flat(sent, change).sort());
      }),
      { numRuns: rounds(300) },
    );
  });

  it('comes back from its binary form at any length', () => {
    fc.assert(
      fc.property(report, (sent) => {
        expect(flat(decodeBinary(encodeBinary(sent)), (n) => n).sort()).toEqual(flat(sent, (n) => n).sort());
      }),
      { numRuns: rounds(200) },
    );
  });

  it('that is noise is refused with invalid-argument, and nothing else is thrown', () => {
    const attempt = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        if (!isEvenkeelError(error, 'invalid-argument')) throw error;
      }
    };
    const word = fc.constantFrom('TEXT ', 'JSON ', 'BIN ', '', 'JSON {', 'TEXT named_metrics.');
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.base64String(), fc.string());
    fc.assert(
      fc.property(word, text, (prefix, noise) => attempt(() => decodeLoadHeader(prefix + noise))),
      { numRuns: rounds(2000) },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => attempt(() => decodeBinary(bytes))),
      { numRuns: rounds(2000) },
    );
    fc.assert(
      fc.property(report, fc.nat(), fc.integer({ min: 0, max: 255 }), (sent, at, byte) => {
        const bytes = encodeBinary(sent);
        if (bytes.length > 0) bytes[at % bytes.length] = byte;
        attempt(() => decodeBinary(bytes));
      }),
      { numRuns: rounds(500) },
    );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom('endpoint-load-metrics', 'endpoint-load-metrics-bin'), fc.string())),
        (list) => attempt(() => readLoadHeaders(list)),
      ),
    );
  });
});
