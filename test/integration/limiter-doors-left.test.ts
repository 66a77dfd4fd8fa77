/** Callers that leave while their work goes on: it has its permit until it is over. */
import type { IncomingCall } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { fetchLimiter, httpLimiter, type LimitedCallHandler, type Limiter, limitCalls } from 'evenkeel/limiter';
import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import { eventually, httpServer } from '../support/http-servers.js';
import { asking, limiterRig } from '../support/limiter-doors.js';

/** A promise, and the two ways it can end. */
function work<T = undefined>() {
  let finish!: (value?: T) => void;
  let fail!: (error: Error) => void;
  const promise = new Promise<T>((resolve, reject) => {
    finish = (value) => resolve(value as T);
    fail = reject;
  });
  return { promise, finish, fail };
}

/** What the limit saw once two more calls went well. */
function windowsOf({ limiter, windows }: ReturnType<typeof limiterRig>): object[] {
  for (let i = 0; i < 2; i++) limiter.tryAcquire()?.end();
  return windows;
}

const NOTHING_FAILED = [{ ended: 2, failed: 0, dropped: 0, retryAfterMs: 0 }];

async function leaves(server: { readonly address: string }, hasBegun: () => boolean, isGone: () => boolean): Promise<void> {
  const { answer, leave } = asking(server);
  answer.catch(() => {});
  await eventually('it is served', hasBegun);
  leave();
  await eventually('its caller is gone', isGone);
}

describe('a handler of node:http', () => {
  async function left(isFailing: boolean, hasHead: boolean) {
    const rig = limiterRig();
    const job = work();
    let begun = 0;
    let gone = 0;
    await using server = await httpServer(
      httpLimiter(rig.limiter)((_request, response) => {
        begun++;
        response.on('close', () => gone++);
        if (hasHead) response.write('half');
        return job.promise;
      }),
    );
    await leaves(
      server,
      () => begun === 1,
      () => gone === 1,
    );
    expect(rig.limiter.inFlight).toBe(1);
    expect(rig.limiter.tryAcquire()).toBeUndefined();
    if (isFailing) job.fail(new Error('too late'));
    else job.finish();
    await eventually('the permit is back', () => rig.limiter.inFlight === 0);
    return windowsOf(rig);
  }

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('holds the permit when its caller has left, and says nothing of the server (throws: %s, head: %s)', async (...how) => {
    expect(await left(...how)).toEqual(NOTHING_FAILED);
  });

  it('lets as many work at once as the limit says, though callers time out and ask again', async () => {
    const { limiter } = limiterRig();
    const jobs: ReturnType<typeof work<undefined>>[] = [];
    let gone = 0;
    await using server = await httpServer(
      httpLimiter(limiter)((_request, response) => {
        const job = work();
        jobs.push(job);
        response.on('close', () => gone++);
        return job.promise;
      }),
    );
    await leaves(
      server,
      () => jobs.length === 1,
      () => gone === 1,
    );
    for (let i = 0; i < 3; i++)
      await leaves(
        server,
        () => limiter.queued === 1,
        () => limiter.queued === 0,
      );
    expect([jobs.length, limiter.inFlight]).toEqual([1, 1]);
    const { answer, leave } = asking(server);
    answer.catch(() => {});
    await eventually('it waits', () => limiter.queued === 1);
    jobs[0]?.finish();
    await eventually('it is served', () => jobs.length === 2);
    jobs[1]?.finish();
    leave();
    await eventually('the permit is back', () => limiter.inFlight === 0);
  });

  it('gives it back with a response that is whole, whatever it does after that', async () => {
    const { limiter } = limiterRig();
    const job = work();
    await using server = await httpServer(
      httpLimiter(limiter)((_request, response) => {
        response.end('whole');
        return job.promise;
      }),
    );
    expect((await asking(server).answer).body).toBe('whole');
    await eventually('the permit is back', () => limiter.inFlight === 0);
    job.finish();
  });

  it('ends with its response when it returns nothing, or what is no promise', async () => {
    const { limiter } = limiterRig();
    let begun = 0;
    await using server = await httpServer(httpLimiter(limiter)(() => (begun++ === 0 ? undefined : 'no promise')));
    for (let i = 1; i <= 2; i++)
      await leaves(
        server,
        () => begun === i,
        () => limiter.inFlight === 0,
      );
  });

  it('is asked once for its end, and ends its permit once, when its promise is not of this world', async () => {
    const { limiter } = limiterRig();
    let asked = 0;
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: query builders have one, and settle as they please.
      then(over: () => void) {
        asked++;
        over();
        over();
      },
    };
    await using server = await httpServer(
      httpLimiter(limiter)((_request, response) => {
        response.end();
        return thenable;
      }),
    );
    using _other = limiter.tryAcquire();
    const { answer } = asking(server);
    await eventually('it waits', () => limiter.queued === 1);
    _other?.end();
    await answer;
    await eventually('the permit is back', () => limiter.inFlight === 0);
    expect([asked, limiter.weight]).toEqual([1, 0]);
  });
});

describe('a handler in the style of fetch', () => {
  const URL_ = 'http://service.test/';

  it('holds the permit when its caller has left', async () => {
    const { limiter } = limiterRig();
    const job = work<Response>();
    const gone = new AbortController();
    const served = fetchLimiter(limiter)(() => job.promise)(new Request(URL_, { signal: gone.signal }));
    gone.abort();
    await Promise.resolve();
    expect(limiter.inFlight).toBe(1);
    job.finish(new Response(null));
    await served;
    expect(limiter.inFlight).toBe(0);
  });

  it('holds it until the body that its reader left has let go', async () => {
    const rig = limiterRig();
    const job = work();
    const body = new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.from('x')), cancel: () => job.promise });
    const response = await fetchLimiter(rig.limiter)(() => new Response(body))(new Request(URL_));
    const left = response.body?.cancel();
    await Promise.resolve();
    expect(rig.limiter.inFlight).toBe(1);
    job.finish();
    await left;
    expect(rig.limiter.inFlight).toBe(0);
    expect(windowsOf(rig)).toEqual(NOTHING_FAILED);
  });

  it('gives it back when a body fails to let go', async () => {
    const { limiter } = limiterRig();
    const body = new ReadableStream({ cancel: () => Promise.reject(new Error('broken')) });
    const response = await fetchLimiter(limiter)(() => new Response(body))(new Request(URL_));
    await expect(response.body?.cancel()).rejects.toThrow('broken');
    expect(limiter.inFlight).toBe(0);
  });
});

describe('a handler of transport.serve', () => {
  async function serve(limiter: Limiter, handler: LimitedCallHandler) {
    const transport = createHttpTransport({ undici });
    const listener = await transport.serve?.({ address: 'http://127.0.0.1:0' }, limitCalls(limiter)(handler));
    if (listener === undefined) throw new Error('the transport has no server');
    const close = async () => {
      await listener.close();
      await transport.close();
    };
    return { address: listener.address, [Symbol.asyncDispose]: close };
  }

  it.each(['answers', 'throws', 'streams'])('that %s when its caller has left holds the permit until then', async (what) => {
    const rig = limiterRig();
    const job = work();
    let begun = 0;
    let gone = 0;
    let pieces = 0;
    const body = async function* () {
      pieces++;
      yield 'nobody reads this';
    };
    await using server = await serve(rig.limiter, async ({ signal }) => {
      begun++;
      signal.addEventListener('abort', () => gone++);
      await job.promise;
      return { status: 200, body: what === 'streams' ? body() : 'whole' };
    });
    await leaves(
      server,
      () => begun === 1,
      () => gone === 1,
    );
    expect(rig.limiter.inFlight).toBe(1);
    if (what === 'throws') job.fail(new Error('too late'));
    else job.finish();
    await eventually('the permit is back', () => rig.limiter.inFlight === 0);
    expect([windowsOf(rig), pieces]).toEqual([NOTHING_FAILED, 0]);
  });

  it('holds the permit until its stream has let go', async () => {
    const rig = limiterRig();
    const job = work();
    let pieces = 0;
    let gone = 0;
    const body = async function* () {
      yield 'half';
      pieces++;
      await job.promise;
      yield 'whole';
    };
    await using server = await serve(rig.limiter, ({ signal }) => {
      signal.addEventListener('abort', () => gone++);
      return { status: 200, body: body() };
    });
    await leaves(
      server,
      () => pieces === 1,
      () => gone === 1,
    );
    expect(rig.limiter.inFlight).toBe(1);
    job.finish();
    await eventually('the permit is back', () => rig.limiter.inFlight === 0);
    expect(windowsOf(rig)).toEqual(NOTHING_FAILED);
  });
});

describe('a handler that never ends for a caller that has gone', () => {
  it.each(['fetch', 'calls'] as const)('of %s gives its permit back after half a minute', async (kind) => {
    const { clock, limiter } = limiterRig();
    const caller = new AbortController();
    const never = () => new Promise<never>(() => {});
    if (kind === 'fetch') void fetchLimiter(limiter)(never)(new Request('http://service.test/', { signal: caller.signal }));
    else void limitCalls(limiter)(never)(incoming(caller.signal));
    await clock.settle();
    caller.abort();
    await clock.advance(29_999);
    expect(limiter.inFlight).toBe(1);
    await clock.advance(1);
    expect(limiter.inFlight).toBe(0);
  });

  it.each(['fetch', 'calls'] as const)('of %s is not called when its caller goes in the turn of the permit', async (kind) => {
    const { limiter } = limiterRig();
    const caller = new AbortController();
    let called = 0;
    const handler = () => {
      called++;
      return new Promise<never>(() => {});
    };
    const held = limiter.tryAcquire();
    const answer =
      kind === 'fetch'
        ? fetchLimiter(limiter)(handler)(new Request('http://service.test/', { signal: caller.signal }))
        : limitCalls(limiter)(handler)(incoming(caller.signal));
    const refused = Promise.resolve(answer).catch((error) => error);
    await Promise.resolve();
    expect(limiter.queued).toBe(1);
    held?.end();
    caller.abort();
    expect(await refused).toMatchObject({ code: 'cancelled' });
    expect([called, limiter.inFlight]).toEqual([0, 0]);
  });
});

describe('a handler of fetch', () => {
  it('holds the permit of a caller that has gone until it is done, and that call says nothing of the server', async () => {
    const rig = limiterRig();
    const caller = new AbortController();
    const job = work<Response>();
    const answer = fetchLimiter(rig.limiter)(() => job.promise)(new Request('http://service.test/', { signal: caller.signal }));
    await rig.clock.settle();
    caller.abort();
    expect(rig.limiter.inFlight).toBe(1);
    job.finish(new Response(null, { status: 500 }));
    await answer;
    expect(rig.limiter.inFlight).toBe(0);
    expect(windowsOf(rig)).toEqual(NOTHING_FAILED);
  });
});

function incoming(signal: AbortSignal): IncomingCall {
  return { path: '/', method: 'POST', headers: [], body: (async function* () {})(), signal } as unknown as IncomingCall;
}
