import { describe, expect, it } from 'vitest';
import { grpcMethod } from '../../../../src/transports/grpc/index.js';

describe('grpcMethod', () => {
  it('encodes and decodes with the definition, from any view of bytes', () => {
    const { path, encode, decode } = grpcMethod<string, string>({
      path: '/a.B/C',
      requestSerialize: (message) => Buffer.from(message),
      responseDeserialize: (bytes) => bytes.toString(),
    });
    expect(path).toBe('/a.B/C');
    expect([...encode('hi')]).toEqual([104, 105]);
    expect(decode(Uint8Array.of(0, 104, 105, 0).subarray(1, 3))).toBe('hi');
  });

  it.each([undefined, null, {}, { path: '/a.B/C' }])('refuses %s', (definition) => {
    expect(() => grpcMethod(definition as never)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
