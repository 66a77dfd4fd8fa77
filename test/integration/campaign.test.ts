/** A leader that is stopped in the middle of an effect, and goes on when another leads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getFenced } from 'evenkeel/core';
import { createFileState } from 'evenkeel/files';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ChildProgram, childProgram, SayingChild } from '../support/child-program.js';

/**
 * Campaigns, and while it leads raises a document by one, over and over, without a look at whether it still leads: the token alone
 * must hold it off.
 */
const PROGRAM = `
  import { writeSync } from 'node:fs';
  import { campaign, isEvenkeelError, putFenced } from 'evenkeel/core';
  import { createFileState } from 'evenkeel/files';
  const [folder, name] = process.argv.slice(2);
  let isEnding = false;
  process.stdin.on('data', () => { isEnding = true; }).on('end', () => process.exit());
  const say = (value) => writeSync(1, JSON.stringify({ name, ...value }) + '\\n');
  const state = createFileState({ folder });
  const election = campaign({ state, key: 'leader', leaseMs: 500, name });
  election.events.on('deposed', ({ token }) => say({ deposed: token }));
  election.events.on('elected', async ({ token }) => {
    say({ elected: token });
    for (let done = 0; ; done++) {
      if (isEnding) return say({ done });
      try {
        await putFenced(state, 'effect', (present) => ({ n: (present?.n ?? 0) + 1, by: name }), token);
      } catch (error) {
        return say({ fenced: token, code: isEvenkeelError(error) ? error.code : String(error), done });
      }
    }
  });
`;

interface Said {
  readonly name: string;
  readonly elected?: number;
  readonly deposed?: number;
  readonly fenced?: number;
  readonly code?: string;
  /** Puts that were acknowledged. */
  readonly done?: number;
}

let program: ChildProgram;
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-campaign-'));
const children: SayingChild<Said>[] = [];

beforeAll(async () => {
  program = await childProgram(PROGRAM);
});
afterAll(() => {
  for (const child of children) child.process.kill('SIGKILL');
  program[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

it('nothing of its old term lands', async () => {
  const start = (name: string) => {
    const child = new SayingChild<Said>(program, [folder, name]);
    children.push(child);
    return child;
  };
  const [first] = [start('first')];
  await first?.hasSaid(1);
  const oldToken = first?.said[0]?.elected ?? 0;
  const second = start('second');
  // Somewhere in the middle of a write: its look is done, its put is not, or the other way round.
  first?.process.kill('SIGSTOP');
  await second.hasSaid(1);
  const newToken = second.said[0]?.elected ?? 0;
  expect(newToken).toBeGreaterThan(oldToken);
  first?.process.kill('SIGCONT');
  await first?.hasSaid(2);
  await first?.hasSaid(3);
  const byFirst = first?.said.find(({ fenced }) => fenced === oldToken)?.done ?? Number.NaN;
  expect(first?.said.slice(1)).toEqual(
    expect.arrayContaining([
      { name: 'first', deposed: oldToken },
      { name: 'first', fenced: oldToken, code: 'aborted', done: byFirst },
    ]),
  );
  second.process.stdin?.write('end');
  await second.hasSaid(2);
  const bySecond = second.said[1]?.done ?? Number.NaN;
  expect(second.said).toEqual([
    { name: 'second', elected: newToken },
    { name: 'second', done: bySecond },
  ]);
  // Each put raised it by one: had one of the old term landed over those of the new, some would be missing.
  const state = createFileState({ folder });
  const effect = await getFenced(state, 'effect');
  expect(effect).toMatchObject({ token: newToken, value: { by: 'second', n: byFirst + bySecond } });
  await state.close();
  for (const child of children) await child.kill();
});
