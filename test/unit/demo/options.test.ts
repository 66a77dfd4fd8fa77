import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { parseOptions, UsageError, usage } from '../../../demo/options.js';
import { QUICK, RATE } from '../../../demo/parameters.js';

const NAMES = ['p2c', 'evenkeel'];
const parse = (...args: string[]) => parseOptions(args, NAMES);

it('takes its defaults from the parameters and writes nothing into the working folder', () => {
  const options = parse();
  expect(options).toMatchObject({ help: false, quick: false, rate: RATE, trace: undefined, json: undefined, only: undefined });
  expect(options.report.startsWith(tmpdir())).toBe(true);
});

it('runs shorter and faster with --quick, unless told otherwise', () => {
  expect(parse('--quick')).toMatchObject({ rate: QUICK.rate, durationS: QUICK.durationS, timeScale: QUICK.timeScale });
  expect(parse('--quick', '--rate', '50', '--duration=2.5')).toMatchObject({ rate: 50, durationS: 2.5 });
});

it.each([
  [['--fast'], '--fast'],
  [['stray'], 'stray'],
  [['--rate', 'many'], '--rate must be a number from 1 to 2000, not many'],
  [['--rate', '0'], '--rate'],
  [['--rate', ''], '--rate'],
  [['--rate'], '--rate'],
  [['--duration', '1e9'], '--duration'],
  [['--seed', '1.5'], '--seed must be a whole number'],
  [['--seed=-1'], '--seed'],
  [['--only', 'nginx'], '--only must be one of p2c, evenkeel, not nginx'],
  [['--report', ''], '--report needs a path'],
])('refuses %j with words that name the fault', (args, words) => {
  expect(() => parse(...args)).toThrow(UsageError);
  expect(() => parse(...args)).toThrow(words);
});

it('names every option and every contender in its help', () => {
  for (const word of ['--quick', '--rate', '--duration', '--seed', '--trace', '--only', '--report', '--json', ...NAMES]) {
    expect(usage(NAMES)).toContain(word);
  }
});
