import { describe, expect, it } from 'vitest';
import type { CommandIo } from '../../../src/cli/command.js';
import { runCli } from '../../../src/cli/run-cli.js';
import { fakeRuntime } from '../../support/fake-host.js';

const RTTS =
  'from,to,ms\neu/west,eu/west,0.4\neu/west,eu/north,12\neu/west,us/east,80\neu/west,us/west,140\neu/north,us/east,90\n';

async function run(args: readonly string[], files: Readonly<Record<string, string>> = { 'rtts.csv': RTTS }) {
  const runtime = fakeRuntime();
  for (const [path, text] of Object.entries(files)) runtime.host.setFile(path, text);
  const out: string[] = [];
  const errors: string[] = [];
  const io: CommandIo = {
    version: '0.0.0',
    runtime,
    out: (line) => out.push(line),
    error: (line) => errors.push(line),
    onSignal: () => () => {},
  };
  const code = await runCli(args, io);
  return { code, out, errors: errors.join('\n') };
}

describe('evenkeel rings suggest', () => {
  it('draws the rings and names their bounds', async () => {
    const { code, out } = await run(['rings', 'suggest', '--rtts', 'rtts.csv']);
    expect(code).toBe(0);
    expect(out.filter((line) => line.startsWith('ring '))).toHaveLength(4);
    expect(out.at(-1)).toMatch(/^rings: \{ boundsMs: \[[\d., ]+\] \}$/);
  });

  it('says the same as JSON', async () => {
    const { code, out } = await run(['rings', 'suggest', '--rtts', 'rtts.csv', '--rings', '2', '--json']);
    expect(code).toBe(0);
    const { boundsMs, rings } = JSON.parse(out.join('')) as { boundsMs: number[]; rings: { count: number }[] };
    expect(boundsMs).toHaveLength(1);
    expect(rings.map(({ count }) => count).reduce((sum, count) => sum + count, 0)).toBe(5);
  });

  it.each([
    ['no file named', ['rings', 'suggest'], 2, '--rtts FILE is missing'],
    ['another word', ['rings', 'draw', '--rtts', 'rtts.csv'], 2, "expected 'suggest'"],
    ['an unknown option', ['rings', 'suggest', '--rtt', 'x'], 2, '--rtt'],
    ['a file that is not there', ['rings', 'suggest', '--rtts', 'nowhere'], 1, 'there is no file nowhere'],
    ['too many rings', ['rings', 'suggest', '--rtts', 'rtts.csv', '--rings', '99'], 1, 'expected'],
  ])('says what is wrong with %s', async (_what, args, expected, message) => {
    const { code, errors } = await run(args);
    expect(code).toBe(expected);
    expect(errors).toContain(message);
  });

  it('says where a file is malformed', async () => {
    const { code, errors } = await run(['rings', 'suggest', '--rtts', 'bad.csv'], { 'bad.csv': 'a,b,1\na,c,fast\n' });
    expect(code).toBe(1);
    expect(errors).toContain('2');
  });

  it('has a help text, and a row in the table of commands', async () => {
    expect((await run(['rings', '--help'])).out.join('\n')).toContain('--rtts FILE');
    expect((await run(['--help'])).out.join('\n')).toContain('rings');
  });
});
