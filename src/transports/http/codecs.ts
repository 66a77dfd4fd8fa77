/** The content codings that this Node knows, all of node:zlib: whole in one go on the caller's thread, or as streams on zlib's own. */
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';

export type ContentEncoding = 'gzip' | 'br' | 'zstd';

export interface Codec {
  readonly encoding: ContentEncoding;
  compressNow(body: Uint8Array): Uint8Array;
  compressor(): Transform;
  decompressor(): Transform;
}

/** Levels that pay on a call: beyond them the time grows much faster than the saving. */
const GZIP_LEVEL = 5;
const BROTLI_QUALITY = 4;
const brotli = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } };

/** Since Node 22.15. */
type WithZstd = typeof zlib & {
  zstdCompressSync?: (body: Uint8Array) => Uint8Array;
  createZstdCompress?: () => Transform;
  createZstdDecompress?: () => Transform;
};

export const CODECS: ReadonlyMap<ContentEncoding, Codec> = new Map(
  [
    {
      encoding: 'gzip' as const,
      compressNow: (body: Uint8Array) => zlib.gzipSync(body, { level: GZIP_LEVEL }),
      compressor: () => zlib.createGzip({ level: GZIP_LEVEL }),
      decompressor: () => zlib.createGunzip(),
    },
    {
      encoding: 'br' as const,
      compressNow: (body: Uint8Array) => zlib.brotliCompressSync(body, brotli),
      compressor: () => zlib.createBrotliCompress(brotli),
      decompressor: () => zlib.createBrotliDecompress(),
    },
    ...zstd(zlib),
  ].map((codec) => [codec.encoding, codec]),
);

function zstd({ zstdCompressSync, createZstdCompress, createZstdDecompress }: WithZstd): Codec[] {
  if (zstdCompressSync === undefined || createZstdCompress === undefined || createZstdDecompress === undefined) return [];
  return [
    { encoding: 'zstd', compressNow: zstdCompressSync, compressor: createZstdCompress, decompressor: createZstdDecompress },
  ];
}
