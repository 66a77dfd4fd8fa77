import { isEvenkeelError } from 'evenkeel/core';
import { createMemoryCall, memoryNetwork } from 'evenkeel/memory';
import { describe, expect, it } from 'vitest';

const answer = () => ({ status: 200 });
const hasCode = (code: Parameters<typeof isEvenkeelError>[1]) => (error: unknown) => isEvenkeelError(error, code);

describe('createMemoryCall', () => {
  it('gives port 0 a free port, refuses a taken address, and frees it on close', async () => {
    const network = memoryNetwork();
    const transport = createMemoryCall({ network });
    const one = await transport.serve({ address: 'memory://a:0' }, answer);
    const two = await transport.serve({ address: 'memory://a:0' }, answer);
    expect(one.address).not.toBe(two.address);
    const { address } = one;
    await expect(createMemoryCall({ network }).serve({ address }, answer)).rejects.toSatisfy(hasCode('already-exists'));
    await one.close();
    const again = await transport.serve({ address }, answer);
    await one.close();
    expect(network.size).toBe(2);
    await again.close();
    await two.close();
    expect(network.size).toBe(0);
  });

  it('refuses an address of another scheme, and serving after close', async () => {
    const transport = createMemoryCall();
    await expect(transport.serve({ address: 'http://a' }, answer)).rejects.toSatisfy(hasCode('invalid-argument'));
    await transport.close();
    await expect(transport.serve({ address: 'memory://a' }, answer)).rejects.toSatisfy(hasCode('failed-precondition'));
  });

  it('leaves a request stream alone that it never pulled', async () => {
    let isReturned = false;
    const body = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: true as const, value: undefined }),
        return: async () => {
          isReturned = true;
          return { done: true as const, value: undefined };
        },
      }),
    };
    const code = await new Promise((resolve) => {
      const sink = { onResponse() {}, onData() {}, onEnd() {}, onError: (error: { code: string }) => resolve(error.code) };
      createMemoryCall().start({ id: 'a', address: 'memory://a' }, { path: '/', body }, sink);
    });
    expect(code).toBe('unavailable');
    expect(isReturned).toBe(false);
  });
});
