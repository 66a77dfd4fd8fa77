/**
 * `npm run check`: everything that must hold, in one command. CI calls only this. Stops at the first step that fails.
 *
 * The very last line of its output is `N passed, N failed, N skipped`, over the tests, package cases and examples.
 */
import { spawn, spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { countLine, readCountLine } from './lib/cases.mjs';
import { root } from './lib/subpaths.mjs';

const HELP = `npm run check -- [options]

  --full          random tests and fault loops run ten times as often (sets EVENKEEL_FULL=1)
  --only A[,B]    only these steps
  --json          a summary as JSON on stdout, everything else on stderr
  --help          this text

steps: `;

/**
 * The build comes before the tests: tests that start child processes run them against dist.
 * @type {Record<string, string[]>}
 */
const STEPS = {
  format: ['node_modules/@biomejs/biome/bin/biome', 'check', '.'],
  types: ['node_modules/typescript7/bin/tsc', '-p', '.'],
  imports: ['scripts/check-imports.mjs'],
  build: ['scripts/build.mjs'],
  tests: ['scripts/run-tests.mjs'],
  package: ['scripts/package-test.mjs'],
  examples: ['scripts/run-examples.mjs', '--all'],
  docs: ['scripts/doc-examples.mjs'],
  size: ['scripts/size-table.mjs'],
};

const { values } = parseArgs({
  options: { full: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
});
if (values.help) {
  console.log(HELP + Object.keys(STEPS).join(', '));
  process.exit(0);
}
const wanted = values.only?.split(',') ?? Object.keys(STEPS);
const unknown = wanted.filter((name) => !Object.hasOwn(STEPS, name));
if (unknown.length > 0) {
  console.error(`no step ${unknown.join(', ')}; there are: ${Object.keys(STEPS).join(', ')}`);
  process.exit(2);
}
const out = values.json ? process.stderr : process.stdout;
const print = (/** @type {string} */ line) => out.write(`${line}\n`);

/** @typedef {{ step: string, ok: boolean, seconds: number, passed: number, failed: number, skipped: number }} Result */
/** @type {Result[]} */
const results = [];
const treeBefore = treeState();

for (const [step, args] of Object.entries(STEPS)) {
  if (!wanted.includes(step)) continue;
  print(`\n── ${step}`);
  const result = await runStep(step, args);
  results.push(result);
  print(`── ${step} ${result.ok ? 'ok' : 'FAILED'} in ${result.seconds.toFixed(1)} s`);
  if (!result.ok) break;
}

const treeAfter = treeState();
const isTreeSame = treeBefore === treeAfter;
report();

/** @param {string} step @param {string[]} args @returns {Promise<Result>} */
function runStep(step, args) {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    const env = {
      ...process.env,
      FORCE_COLOR: process.env.FORCE_COLOR ?? (out.isTTY ? '1' : '0'),
      ...(values.full ? { EVENKEEL_FULL: '1' } : {}),
    };
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', values.json ? 2 : 'inherit'] });
    let tail = '';
    child.stdout?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      out.write(text);
      tail = (tail + text).slice(-200);
    });
    child.on('close', (code) => {
      const counts = readCountLine(tail) ?? { passed: 0, failed: code === 0 ? 0 : 1, skipped: 0 };
      resolve({ step, ok: code === 0, seconds: (performance.now() - startedMs) / 1000, ...counts });
    });
  });
}

/** Empty where there is no git: the check also runs in an unpacked archive. */
function treeState() {
  return spawnSync('git', ['status', '--porcelain', '--untracked-files=all'], { cwd: root, encoding: 'utf8' }).stdout ?? '';
}

function report() {
  const sum = (/** @type {'seconds' | 'passed' | 'failed' | 'skipped'} */ key) =>
    results.reduce((total, result) => total + result[key], 0);
  const counts = { passed: sum('passed'), failed: sum('failed') + (isTreeSame ? 0 : 1), skipped: sum('skipped') };
  print('');
  for (const { step, ok, seconds } of results)
    print(`${ok ? 'ok    ' : 'FAILED'} ${step.padEnd(10)}${seconds.toFixed(1).padStart(7)} s`);
  print(`       ${'in all'.padEnd(10)}${sum('seconds').toFixed(1).padStart(7)} s`);
  if (!isTreeSame) print(`FAILED: the check changed the tree. Before:\n${treeBefore}After:\n${treeAfter}`);
  const broken = results.find(({ ok }) => !ok);
  if (broken !== undefined) print(`stopped at '${broken.step}'; run it alone: npm run check -- --only ${broken.step}`);
  if (values.json) console.log(JSON.stringify({ ok: counts.failed === 0, ...counts, steps: results }, null, 2));
  print(countLine(counts));
  process.exitCode = counts.failed > 0 ? 1 : 0;
}
