/** A piece of a body as one message. Shares the bytes. */
export function toMessage(piece: Uint8Array | string): Buffer {
  if (typeof piece === 'string') return Buffer.from(piece);
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
}

/** The iterator of a body that is not read to its end. Whatever its last words are: the call has ended. */
export async function letGo(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // As said.
  }
}
