import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/transports/grpc/address.js';

describe('an address', () => {
  it.each([
    ['grpc://127.0.0.1:50051', false, 'dns:127.0.0.1:50051'],
    ['grpcs://a.example:443', true, 'dns:a.example:443'],
    ['grpc://[::1]:1/', false, 'dns:[::1]:1'],
  ])('%s is taken', (address, isSecure, target) => {
    expect(parseAddress(address)).toMatchObject({ isSecure, target });
  });

  it.each([
    '',
    'nonsense',
    'http://a:1',
    'grpc://a',
    'grpc://a:65536',
    'grpc://a:1/path',
    'grpc://u@a:1',
    'grpc:// a:1',
    7,
    undefined,
  ])('%s is invalid-argument', (address) => {
    expect(() => parseAddress(address as string)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
