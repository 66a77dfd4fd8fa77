import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../src/core/index.js';
import { type BodySource, BodyStream, HIGH_WATER_BYTES } from '../../../src/router/body-stream.js';
import { watch } from '../../support/router-rig.js';

function streamOf() {
  const log: string[] = [];
  const source: BodySource = {
    pause: () => log.push('pause'),
    resume: () => log.push('resume'),
    cancelBody: () => {
      log.push('cancel');
      stream.fail(new EvenkeelError('cancelled', 'the reader left'));
    },
  };
  const stream: BodyStream = new BodyStream(source);
  return { stream, log };
}

const piece = (text: string) => Buffer.from(text);
const gone = () => new EvenkeelError('unavailable', 'gone');

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += Buffer.from(chunk).toString();
  return text;
}

describe('a body stream', () => {
  it('gives what came before, and what comes while somebody waits, in order', async () => {
    const { stream } = streamOf();
    stream.push(piece('a'));
    const text = readAll(stream);
    await Promise.resolve();
    stream.push(piece('b'));
    stream.push(piece('c'));
    stream.end(['x-t', '1']);
    expect(await text).toBe('abc');
    expect(stream.trailers).toEqual(['x-t', '1']);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('gives what came before a failure, then the failure once, then the end', async () => {
    const { stream } = streamOf();
    stream.push(piece('a'));
    stream.fail(gone());
    expect((await stream.next()).done).toBe(false);
    await expect(stream.next()).rejects.toMatchObject({ code: 'unavailable' });
    expect((await stream.next()).done).toBe(true);
  });

  it('lets go of what was read, though its reader is always a piece behind', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { stream } = streamOf();
    const pieces: WeakRef<Uint8Array>[] = [];
    const push = () => {
      const chunk = new Uint8Array(16_384);
      pieces.push(new WeakRef(chunk));
      stream.push(chunk);
    };
    push();
    for (let i = 0; i < 200; i++) {
      push();
      await stream.next();
    }
    // A WeakRef holds its target until the turn of the event loop ends.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(pieces.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(10);
  });

  it('tells a reader who waits of the failure', async () => {
    const { stream } = streamOf();
    const next = stream.next();
    stream.fail(gone());
    await expect(next).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('pauses its source at the high water mark, and resumes it when all is read', async () => {
    const { stream, log } = streamOf();
    stream.push(new Uint8Array(HIGH_WATER_BYTES - 1));
    expect(log).toEqual([]);
    stream.push(piece('ab'));
    stream.push(piece('more'));
    expect(log).toEqual(['pause']);
    await stream.next();
    await stream.next();
    expect(log).toEqual(['pause']);
    await stream.next();
    expect(log).toEqual(['pause', 'resume']);
  });

  it('left in the middle of a loop cancels its call, once', async () => {
    const { stream, log } = streamOf();
    stream.push(piece('a'));
    stream.push(piece('b'));
    for await (const _chunk of stream) break;
    stream.cancel();
    expect(log).toEqual(['cancel']);
    expect((await stream.next()).done).toBe(true);
    stream.push(piece('late'));
    stream.end(undefined);
    expect((await stream.next()).done).toBe(true);
  });

  it('cancels nothing after its end', () => {
    const { stream, log } = streamOf();
    stream.end(undefined);
    stream.cancel();
    expect(log).toEqual([]);
  });

  it('settles a reader who waits when it is cancelled', async () => {
    const { stream } = streamOf();
    const next = watch(stream.next());
    stream.cancel();
    await new Promise(setImmediate);
    expect(next.isSettled).toBe(true);
  });
});

describe('as a web stream', () => {
  it('it carries the pieces and the failure, and pulls nothing before it is asked', async () => {
    const { stream } = streamOf();
    const web = stream.toReadableStream();
    stream.push(piece('a'));
    const reader = web.getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('a');
    const next = reader.read();
    stream.fail(gone());
    await expect(next).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('its cancel ends the call', async () => {
    const { stream, log } = streamOf();
    await stream.toReadableStream().cancel();
    expect(log).toEqual(['cancel']);
  });

  it('its cancel ends the call while a read waits', async () => {
    const { stream, log } = streamOf();
    const reader = stream.toReadableStream().getReader();
    const read = watch(reader.read());
    await reader.cancel();
    await new Promise(setImmediate);
    expect(log).toEqual(['cancel']);
    expect(read.isSettled).toBe(true);
  });
});
