import {
  CRITICALITIES,
  isEvenkeelError,
  parseEndpoint,
  parseEndpoints,
  readContextHeaders,
  writeContextHeaders,
} from 'evenkeel/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const attempt = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    if (!isEvenkeelError(error, 'invalid-argument')) throw error;
  }
};

describe('a call context', () => {
  it('comes back from headers with baggage of any kind beside it, the deadline less than a millisecond early', () => {
    const member = fc.string().map((text) => text.replaceAll('evenkeel.criticality', ''));
    fc.assert(
      fc.property(
        fc.constantFrom(...CRITICALITIES),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.array(member),
        (criticality, ms, others) => {
          const headers = others.flatMap((text) => ['baggage', text]);
          writeContextHeaders(headers, { criticality, deadline: 50 + ms }, 50);
          const read = readContextHeaders(headers, { now: 50, isTrusted: true });
          expect(read.criticality).toBe(criticality);
          expect(50 + ms - (read.deadline ?? Number.NaN)).toBeLessThan(1);
          expect(50 + ms - (read.deadline ?? Number.NaN)).toBeGreaterThanOrEqual(-1e-6);
        },
      ),
    );
  });

  it('read from noise is a context or invalid-argument', () => {
    const name = fc.constantFrom('evenkeel-timeout-ms', 'grpc-timeout', 'baggage', 'x');
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string()), { maxLength: 6 }), (pairs) =>
        attempt(() => {
          const { criticality, deadline } = readContextHeaders(pairs.flat(), { now: 0 });
          expect(CRITICALITIES).toContain(criticality);
          if (deadline !== undefined) expect(deadline).toBeLessThanOrEqual(3_600_000);
        }),
      ),
      { numRuns: rounds(500) },
    );
  });
});

describe('endpoints', () => {
  it('parsed are a fixed point, and noise is refused with invalid-argument', () => {
    const like = fc.oneof(
      fc.string(),
      fc.webUrl({ validSchemes: ['http', 'https'] }),
      fc.tuple(fc.constantFrom('http', 'memory'), fc.string()).map(([scheme, host]) => `${scheme}://${host}`),
      fc.record(
        {
          id: fc.string(),
          address: fc.webAuthority().map((host) => `http://${host}`),
          weight: fc.double(),
          attributes: fc.dictionary(fc.string(), fc.string()),
        },
        { requiredKeys: ['address'] },
      ),
      fc.anything(),
    );
    fc.assert(
      fc.property(like, (value) =>
        attempt(() => {
          const endpoint = parseEndpoint(value);
          expect(parseEndpoint(endpoint)).toEqual(endpoint);
          expect(parseEndpoints([endpoint])).toEqual([endpoint]);
        }),
      ),
      { numRuns: rounds(1000) },
    );
  });
});
