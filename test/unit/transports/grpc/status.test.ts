import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../../../src/core/errors.js';
import { errorCodeOf, grpcCodeOf, httpStatusOf } from '../../../../src/transports/grpc/status.js';

const NAMES = Object.keys(status).filter((name) => Number.isNaN(Number(name)));
const codeOf = (name: string) => status[name as keyof typeof status] as unknown as number;

describe('status', () => {
  it('names each code of gRPC as the errors do', () => {
    const names = NAMES.filter((name) => name !== 'OK').map((name) => name.toLowerCase().replaceAll('_', '-'));
    expect(names).toEqual([...ERROR_CODES]);
    for (const name of NAMES.filter((name) => name !== 'OK')) {
      expect(errorCodeOf(codeOf(name))).toBe(name.toLowerCase().replaceAll('_', '-'));
    }
  });

  it('takes a code that gRPC does not define for unknown', () => {
    expect([errorCodeOf(17), httpStatusOf(17), errorCodeOf(-1), httpStatusOf(Number.NaN)]).toEqual([
      'unknown',
      500,
      'unknown',
      500,
    ]);
  });

  it('gives each code an HTTP status that the router treats alike', () => {
    expect([httpStatusOf(status.UNAVAILABLE), httpStatusOf(status.RESOURCE_EXHAUSTED)]).toEqual([503, 429]);
    for (const name of NAMES) {
      const httpStatus = httpStatusOf(codeOf(name));
      expect(httpStatus === 200).toBe(name === 'OK');
      expect(httpStatus).toBeGreaterThanOrEqual(200);
      expect(httpStatus).toBeLessThan(600);
    }
  });

  it('gives each HTTP status a code: OK for 2xx and for nothing else', () => {
    for (let httpStatus = 200; httpStatus < 600; httpStatus++) {
      const code = grpcCodeOf(httpStatus);
      expect(code === status.OK).toBe(httpStatus < 300);
      expect(status[code]).toBeDefined();
    }
  });

  it('comes back as it was by way of HTTP, where HTTP has a status of its own for it', () => {
    const own = ['CANCELLED', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED'];
    for (const name of [...own, 'ABORTED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'UNAUTHENTICATED']) {
      expect(grpcCodeOf(httpStatusOf(codeOf(name))), name).toBe(codeOf(name));
    }
  });
});
