import { isEvenkeelError } from 'evenkeel/core';
import { createMemoryBlob, memoryBlobStore } from 'evenkeel/memory';
import { describe, expect, it } from 'vitest';

describe('createMemoryBlob', () => {
  it('counts stored and unfinished bytes against maxBytes, and frees those of replaced, aborted and deleted blobs', async () => {
    const store = memoryBlobStore();
    const blobs = createMemoryBlob({ store, maxBytes: 100 });
    const write = async (n: number) => {
      const writer = await blobs.writer('a');
      await writer.buffer();
      await writer.write(n);
      return writer;
    };
    await (await write(60)).commit();
    await expect(write(41)).rejects.toSatisfy((error) => isEvenkeelError(error, 'resource-exhausted') && error.rejected);
    const half = await write(40);
    expect(store.bytes).toBe(100);
    await half.abort();
    expect(store.bytes).toBe(60);
    await (await write(30)).commit();
    expect(store.bytes).toBe(30);
    await blobs.delete('a');
    expect(store.bytes).toBe(0);
    await blobs.close();
  });
});
