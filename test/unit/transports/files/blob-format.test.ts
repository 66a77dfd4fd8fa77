import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES, blobBytes, footerBytes, TRAILER_BYTES, writeFooter } from '../../../../src/transports/files/blob-format.js';

function footerOf(bytes: number): Uint8Array {
  const footer = new Uint8Array(footerBytes(bytes));
  writeFooter(
    footer,
    bytes,
    Array.from({ length: Math.ceil(bytes / BLOCK_BYTES) }, (_, i) => 2 ** 32 - 1 - i),
  );
  return footer;
}

describe('the footer of a blob', () => {
  it('tells the size, for no bytes, whole blocks, parts of one, and more than 4 GiB', () => {
    for (const bytes of [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * 2 ** 30 + 7]) {
      const footer = footerOf(bytes);
      expect(blobBytes(footer.slice(-TRAILER_BYTES), bytes + footer.byteLength)).toBe(bytes);
    }
  });

  it('has the bytes that are written down, so that a later release reads what this one wrote', () => {
    const table = ['ffffffff', 'feffffff'];
    const trailer = [Buffer.from('evenblob').toString('hex'), '01000000', '00000100', '0100010000000000', 'fb787f5f'];
    expect(Buffer.from(footerOf(65_537)).toString('hex')).toBe([...table, ...trailer].join(''));
  });

  it('is none with another file size, a bit turned over, or of a version to come', () => {
    const trailer = footerOf(100).slice(-TRAILER_BYTES);
    const size = 100 + footerBytes(100);
    for (const other of [0, size - 1, size + 1, size + BLOCK_BYTES]) expect(blobBytes(trailer, other)).toBeUndefined();
    for (let bit = 0; bit < TRAILER_BYTES * 8; bit++) {
      const damaged = trailer.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(blobBytes(damaged, size)).toBeUndefined();
    }
    for (const at of [8, 12]) {
      const later = trailer.slice();
      later[at] = 2;
      new DataView(later.buffer).setUint32(24, crc32(later.subarray(0, 24)), true);
      expect(blobBytes(later, size)).toBeUndefined();
    }
    expect(blobBytes(trailer.slice(1), size)).toBeUndefined();
    expect(blobBytes(new Uint8Array(TRAILER_BYTES), TRAILER_BYTES)).toBeUndefined();
  });
});
