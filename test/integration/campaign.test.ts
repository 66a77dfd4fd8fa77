/** Leaders that are stopped in the middle of an effect and go on when another leads, in processes whose clocks differ. */
import { getFenced, type StateTransport } from 'evenkeel/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ChildProgram, childProgram, SayingChild } from '../support/child-program.js';
import { durableStore } from '../support/durable-store.js';
import { faultProxy } from '../support/fault-proxy.js';
import { eventually } from '../support/http-servers.js';
import { natsMissing, natsServer } from '../support/nats-server.js';
import { rounds } from '../support/rounds.js';
import { storePlaces } from '../support/store-places.js';

/**
 * Campaigns, and while it leads raises a document by one, over and over, without a look at whether it still leads: the token alone
 * must hold it off. Times are the machine's, the same for all processes, whatever clock the campaign has.
 */
const PROGRAM = `
  import { writeSync } from 'node:fs';
  import { campaign, createRuntime, isEvenkeelError, putFenced } from 'evenkeel/core';
  import { durableStore } from './test/support/durable-store.ts';
  import { movedClock } from './test/support/moved-clock.ts';
  const [address, name, clockOptions] = process.argv.slice(2);
  let isEnding = false;
  process.stdin.on('data', () => { isEnding = true; }).on('end', () => process.exit());
  const say = (value) => writeSync(1, JSON.stringify({ name, ...value }) + '\\n');
  const nowMs = () => Number(process.hrtime.bigint() / 1000n) / 1000;
  const clock = movedClock(JSON.parse(clockOptions));
  const state = durableStore(address, clock).state();
  const election = campaign({ state, key: 'leader', leaseMs: 500, name, runtime: createRuntime({ clock }) });
  election.events.on('deposed', ({ token }) => say({ deposed: token }));
  election.events.on('elected', async ({ token }) => {
    const fromMs = nowMs();
    let untilMs = fromMs;
    const look = () => {
      const atMs = nowMs();
      if (election.term?.token === token) untilMs = atMs;
    };
    setInterval(look, 1);
    say({ elected: token });
    for (let done = 0, maybe = 0; ; ) {
      look();
      if (isEnding) return say({ token, done, maybe, fromMs, untilMs });
      try {
        await putFenced(state, 'effect', (present) => ({ n: (present?.n ?? 0) + 1, by: name }), token);
        done++;
      } catch (error) {
        if (isEvenkeelError(error) && error.retryable === 'unknown') maybe++;
        else return say({ token, fenced: isEvenkeelError(error) ? error.code : String(error), done, maybe, fromMs, untilMs });
      }
    }
  });
`;

interface Said {
  readonly name: string;
  readonly elected?: number;
  readonly deposed?: number;
  /** Of a term that is over. */
  readonly token?: number;
  /** The code that ended its effects. */
  readonly fenced?: string;
  /** Puts that were acknowledged. */
  readonly done?: number;
  /** Puts that may have landed. */
  readonly maybe?: number;
  /** When it led, as it saw it. */
  readonly fromMs?: number;
  readonly untilMs?: number;
}

let program: ChildProgram;
const children: SayingChild<Said>[] = [];

beforeAll(async () => {
  program = await childProgram(PROGRAM);
});
afterEach(() => {
  for (const child of children.splice(0)) child.process.kill('SIGKILL');
});
afterAll(() => program[Symbol.dispose]());

function start(address: string, name: string, clock: { calendarAheadMs?: number; rate?: number } = {}): SayingChild<Said> {
  const child = new SayingChild<Said>(program, [address, name, JSON.stringify(clock)]);
  children.push(child);
  return child;
}

const HOUR_MS = 3_600_000;
const CLOCKS = [
  { calendarAheadMs: 5 * HOUR_MS },
  { calendarAheadMs: -3 * HOUR_MS, rate: 1.04 },
  { calendarAheadMs: 30 * 24 * HOUR_MS, rate: 0.97 },
] as const;

describe.each(storePlaces)('on $name', ({ isMissing, open }) => {
  it.skipIf(isMissing)('nothing of the old term of a leader that was stopped lands', async () => {
    await using place = await open();
    const first = start(place.address, 'first');
    await first.hasSaid(1);
    const oldToken = first.said[0]?.elected ?? 0;
    const second = start(place.address, 'second');
    // Somewhere in the middle of a write: its look is done, its put is not, or the other way round.
    first.process.kill('SIGSTOP');
    await second.hasSaid(1);
    const newToken = second.said[0]?.elected ?? 0;
    expect(newToken).toBeGreaterThan(oldToken);
    first.process.kill('SIGCONT');
    await first.hasSaid(3);
    expect(first.said.slice(1)).toEqual(
      expect.arrayContaining([
        { name: 'first', deposed: oldToken },
        expect.objectContaining({ token: oldToken, fenced: 'aborted' }),
      ]),
    );
    second.process.stdin?.write('end');
    await second.hasSaid(2);
    expect(second.said).toEqual([{ name: 'second', elected: newToken }, expect.objectContaining({ token: newToken })]);
    const state = durableStore(place.address).state();
    await expectAllEffects(state, [...first.said, ...second.said]);
    expect(await getFenced(state, 'effect')).toMatchObject({ token: newToken, value: { by: 'second' } });
    await state.close();
  });

  it.skipIf(isMissing)('of contenders whose clocks differ one leads at a time, and no effect is lost or late', async () => {
    await using place = await open();
    const contenders = CLOCKS.map((clock, i) => start(place.address, `c${i}`, clock));
    const state = durableStore(place.address).state();
    await expectOneAtATime(contenders, state, (leader) => {
      leader.process.kill('SIGSTOP');
      return () => leader.process.kill('SIGCONT');
    });
    await state.close();
  });
});

it.skipIf(natsMissing !== undefined)(
  'a leader that is cut off does not lead any more when another does, whatever their clocks',
  async () => {
    await using server = await natsServer();
    const proxies = await Promise.all(CLOCKS.map(() => faultProxy(server.port)));
    const contenders = proxies.map(({ port }, i) => start(`nats://127.0.0.1:${port}`, `c${i}`, CLOCKS[i]));
    const state = durableStore(server.servers).state();
    await expectOneAtATime(contenders, state, (leader) => {
      const proxy = proxies[contenders.indexOf(leader)];
      proxy?.drop();
      return () => proxy?.heal();
    });
    await state.close();
    for (const child of contenders) await child.kill();
    for (const proxy of proxies) await proxy.close();
  },
);

/**
 * Takes the leadership from one after the other.
 * @param part - Keeps a leader from the store, until the function returned is called.
 */
async function expectOneAtATime(
  contenders: readonly SayingChild<Said>[],
  state: StateTransport,
  part: (leader: SayingChild<Said>) => () => void,
): Promise<void> {
  const said = () => contenders.flatMap((child) => child.said);
  const newest = () => Math.max(0, ...said().map(({ elected = 0 }) => elected));
  const isOver = (elected: number) => said().some(({ token }) => token === elected);
  for (let round = 1; round <= rounds(3, 30); round++) {
    await eventually(`one leads, round ${round}`, () => newest() > 0 && !isOver(newest()));
    const token = newest();
    const leader = contenders.find((child) => child.said.some(({ elected }) => elected === token));
    await eventually('it has effects', async () => (await getFenced(state, 'effect'))?.token === token);
    const rejoin = leader && part(leader);
    await eventually('another leads', () => newest() > token);
    rejoin?.();
    await eventually('the first is held off', () => isOver(token));
  }
  for (const { process } of contenders) process.stdin?.write('end');
  const elections = () => said().flatMap(({ elected }) => elected ?? []);
  await eventually('every term is over', () => elections().every(isOver));
  const terms = said().flatMap(({ token, fenced, fromMs = 0, untilMs = 0 }) =>
    token === undefined ? [] : [{ token, fenced, fromMs, untilMs }],
  );
  terms.sort((a, b) => a.token - b.token);
  for (const [i, { fromMs, fenced }] of terms.entries()) {
    expect([undefined, 'aborted']).toContain(fenced);
    expect(fromMs, `term ${i} of ${JSON.stringify(terms)}`).toBeGreaterThan(terms[i - 1]?.untilMs ?? 0);
  }
  await expectAllEffects(state, said());
}

/** Each put raised it by one: had one of an old term landed over those of a later, some would be missing. */
async function expectAllEffects(state: StateTransport, said: readonly Said[]): Promise<void> {
  const n = Number((await getFenced(state, 'effect'))?.value.n);
  const done = said.reduce((sum, each) => sum + (each.done ?? 0), 0);
  expect(n).toBeGreaterThanOrEqual(done);
  expect(n).toBeLessThanOrEqual(done + said.reduce((sum, each) => sum + (each.maybe ?? 0), 0));
}
