/** `evenkeel knobs` on a store in files, with a service that follows it in the same process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime } from 'evenkeel/core';
import { createFileState } from 'evenkeel/files';
import { createKnobs } from 'evenkeel/knobs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommandIo, StopSignal } from '../../src/cli/command.js';
import { runCli } from '../../src/cli/run-cli.js';
import { eventually } from '../support/http-servers.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evenkeel-knobs-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function started(args: readonly string[], actor = 'ada') {
  const out: string[] = [];
  const errors: string[] = [];
  const listeners = new Map<StopSignal, () => void>();
  const io: CommandIo = {
    version: '0.0.0',
    runtime: createRuntime(),
    out: (line) => out.push(line),
    error: (line) => errors.push(line),
    onSignal(signal, listener) {
      listeners.set(signal, listener);
      return () => listeners.delete(signal);
    },
  };
  const code = runCli(['knobs', ...args, '--store', folder, '--actor', actor], io);
  return { code, out, errors, stop: () => listeners.get('SIGINT')?.() };
}

async function run(args: readonly string[], actor?: string) {
  const { code, errors, out } = started(args, actor);
  return { code: await code, text: out.join('\n'), errors: errors.join('\n') };
}

const idIn = (text: string) => /approve (\w+)'/.exec(text)?.[1] as string;

describe('evenkeel knobs', () => {
  it('plans, turns, sees it arrive, tells and releases', async () => {
    const state = createFileState({ folder });
    await using knobs = createKnobs({ state, service: 'search', instance: 'search-1', reportEveryMs: 1000 });
    const rerank = knobs.define({ name: 'Search/SkipRerank', level: 3, oncall: 'search', declaredImpact: 0.01 });
    const history = knobs.define({ name: 'Feed/NoHistory', level: 1, oncall: 'feed' });
    let status = await run(['status']);
    while (!status.text.includes('1 instance')) status = await run(['status']);
    expect(status).toMatchObject({ code: 0, text: expect.stringContaining('all is normal') });
    const plan = await run(['plan', 'product:Search', '3']);
    expect(plan.text).toContain('product:Search to level 3: 1 knob of 1 instance, from revision 0');
    expect(plan.text).toMatch(/Search\/SkipRerank +3 +search +1 .*never ran +1\.0 % \(declared\) +search/);
    const set = await run(['set', 'product:Search', '3', '--reason', 'INC-7', '--ttl', '10m']);
    expect([set.code, set.errors, rerank.on]).toEqual([0, '', true]);
    expect(set.text).toMatch(/1\/1 have it/);
    expect((await run(['status'])).text).toMatch(/product:Search +level 3 +ada +.* 10m +INC-7/);
    const proposed = await run(['set', 'all', '1', '--reason', 'INC-8', '--wait', '0']);
    expect([proposed.code, history.on]).toEqual([0, false]);
    const own = await run(['approve', idIn(proposed.text)]);
    expect([own.code, own.errors]).toEqual([1, expect.stringContaining('a second person has to approve it')]);
    expect((await run(['approve', idIn(proposed.text), '--wait', '0'], 'bob')).code).toBe(0);
    await eventually('level 1 is in force', () => history.on);
    const told = JSON.parse((await run(['history', '--json'])).text) as { approvedBy: string | null; reason: string }[];
    expect(told.map(({ approvedBy, reason }) => [approvedBy, reason])).toEqual([
      ['bob', 'INC-8'],
      [null, 'INC-7'],
    ]);
    expect((await run(['history'])).text).toMatch(/ada, bob +all to level 1 +1h +INC-8/);
    expect((await run(['release', 'everything', '--reason', 'over', '--ramp', '0', '--wait', '0'])).code).toBe(0);
    await eventually('all is normal', () => !rerank.on && !history.on);
    const json = JSON.parse((await run(['set', 'Search/SkipRerank', '128', '--reason', 'x', '--json'])).text);
    expect(json).toMatchObject({ outcome: 'applied', propagation: { applied: 1, total: 1 } });
    expect(rerank.dose).toBe(128);
    await state.close();
  });

  it('watches until it is stopped', async () => {
    const { code, out, stop } = started(['watch']);
    await eventually('it has said how things stand', () => out.some((line) => line.startsWith('revision')));
    stop();
    expect(await code).toBe(0);
  });

  it.each([
    [['frobnicate'], "'frobnicate' is unknown"],
    [['set', 'all', '3'], '--reason TEXT is missing'],
    [['set', 'all'], "expected 'SCOPE LEVEL'"],
    [['set', 'all', 'three', '--reason', 'x'], 'the level is'],
    [['set', 'A/B', 'on', 'off', '--reason', 'x'], "'off' is one word too many"],
    [['set', 'all', '3', '--reason', 'x', '--ttl', '10'], "--ttl is '10'"],
    [['set', 'all', '3', '--reason', 'x', '--canary', '5'], "--canary is '5'"],
    [['release', 'all', '--reason', 'x', '--canary', '5%'], '--canary is for set'],
    [['release', '--reason', 'x'], "expected 'release everything'"],
    [['approve'], 'which proposal?'],
    [['history', '--limit', 'x'], "--limit is 'x'"],
    [['status', '--frob'], '--frob'],
  ])('%j is wrongly called', async (args, said) => {
    const { code, errors } = await run(args);
    expect([code, errors]).toEqual([2, expect.stringContaining(said)]);
    expect(errors).toContain("'evenkeel knobs --help'");
  });

  it.each([
    [['set', 'all', '5', '--reason', 'x', '--force'], 'expected 1 to 4'],
    [['set', 'Search/SkipRerank', '300', '--reason', 'x', '--force'], 'dose is 300'],
    [['set', 'planet:Earth', '3', '--reason', 'x', '--force'], "expected 'all', 'service:NAME'"],
    [['approve', 'nobody'], 'there is no proposal nobody'],
  ])('%j fails, and says why', async (args, said) => {
    const { code, errors } = await run(args);
    expect([code, errors]).toEqual([1, expect.stringContaining(said)]);
  });
});
