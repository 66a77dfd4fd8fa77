/**
 * Runs vitest and ends with `N passed, N failed, N skipped`, read from its JSON report. `npm test` is vitest itself; this is for
 * check.mjs and .ci/run, which add such lines up.
 *
 * `--dist` runs the tests of public names against the built library, `--node PATH` runs them with another node binary.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { countLine } from './lib/cases.mjs';
import { root } from './lib/subpaths.mjs';

const { values } = parseArgs({ options: { dist: { type: 'boolean' }, node: { type: 'string' } } });
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-tests-'));
const report = join(folder, 'report.json');
const { status } = spawnSync(
  values.node ?? process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=json', `--outputFile=${report}`],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(values.dist ? { EVENKEEL_DIST: '1' } : {}) } },
);
const counts = readReport();
rmSync(folder, { recursive: true, force: true });
// A file that does not load, or an error outside any test, fails no test: it counts as one.
if (status !== 0 && counts.failed === 0) counts.failed = 1;
console.log(countLine(counts));
process.exitCode = counts.failed > 0 ? 1 : 0;

/** Counts what the report holds, and prints each failed test with what it said: far above, in a log that may be cut, they are lost. */
function readReport() {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      readFileSync(report, 'utf8'),
    );
    for (const file of testResults) {
      const failed = file.assertionResults.filter((/** @type {{ status: string }} */ test) => test.status === 'failed');
      if (file.status === 'failed' && failed.length === 0) printFailed(file.name, file.message);
      for (const { fullName, failureMessages } of failed) printFailed(`${file.name} > ${fullName}`, failureMessages.join('\n'));
    }
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

/** @param {string} name @param {string} message */
function printFailed(name, message) {
  const lines = message.split('\n').slice(0, 6);
  console.log([`FAIL  ${name.replace(root, '')}`, ...lines].join('\nFAIL      '));
}
