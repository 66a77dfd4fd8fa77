import { Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { addHeaders, ownStatus, pushHeaders } from '../../../../src/transports/grpc/metadata.js';

function metadataOf(...headers: string[]): Metadata {
  const metadata = new Metadata();
  addHeaders(metadata, headers);
  return metadata;
}

describe('headers as metadata', () => {
  it('keep repeated names in order, in lower case', () => {
    expect(metadataOf('X-A', '1', 'x-b', '2', 'x-a', '3').toJSON()).toEqual({ 'x-a': ['1', '3'], 'x-b': ['2'] });
  });

  it('turn base64 of -bin names into bytes, padded or not, and back', () => {
    const metadata = metadataOf('a-bin', 'AP8=', 'a-bin', 'AP8', 'b-bin', '');
    expect(metadata.get('a-bin')).toEqual([Buffer.from([0, 255]), Buffer.from([0, 255])]);
    expect(pushHeaders([], metadata)).toEqual(['a-bin', 'AP8=', 'a-bin', 'AP8=', 'b-bin', '']);
  });

  it('leave out what belongs to the wire', () => {
    const wire = [
      'te',
      'content-type',
      'Connection',
      'transfer-encoding',
      'host',
      'grpc-status',
      'grpc-timeout',
      'evenkeel-status',
    ];
    const metadata = metadataOf(...wire.flatMap((name) => [name, '1']), 'x-kept', '1');
    expect(Object.keys(metadata.toJSON())).toEqual(['x-kept']);
  });

  it('keep those of gRPC that are said by programs', () => {
    const metadata = metadataOf('grpc-retry-pushback-ms', '5', 'grpc-trace-bin', 'AA==');
    expect(Object.keys(metadata.toJSON())).toEqual(['grpc-retry-pushback-ms', 'grpc-trace-bin']);
  });

  it('take the first of what may stand once', () => {
    expect(metadataOf('Authorization', 'a', 'authorization', 'b').get('authorization')).toEqual(['a']);
  });

  it.each([
    ['beyond ASCII', ['x-a', 'ü']],
    ['with a tab', ['x-a', 'a\tb']],
    ['not base64', ['x-a-bin', 'ü']],
    ['of a name of HTTP only', ['x|a', '1']],
  ])('refuse a value %s', (_what, headers) => {
    expect(() => metadataOf(...headers)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it('tell the HTTP status only where it is one', () => {
    const said = (value: string) => {
      const metadata = new Metadata();
      metadata.set('evenkeel-status', value);
      return ownStatus(metadata);
    };
    expect(['200', '599', '99', '1000', 'x', ''].map(said)).toEqual([200, 599, undefined, undefined, undefined, undefined]);
    expect(ownStatus(new Metadata())).toBeUndefined();
  });
});
