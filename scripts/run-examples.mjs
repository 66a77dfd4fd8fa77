/**
 * Runs every example to its end, offline, and counts its lines: one that is not run is soon wrong, one that is long is not read. `npm run example -- NAME` runs one, with its
 * output and arguments, by run.mjs.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCases } from './lib/cases.mjs';
import { filesBelow, isTypeScript } from './lib/files.mjs';
import { bundleProgram, ensureBuilt, runOffline } from './lib/program.mjs';
import { root } from './lib/subpaths.mjs';

const TIMEOUT_MS = 30_000;
/** Without the comment at its head. */
const MOST_LINES = 25;

// Top level only: what lies deeper is what an example stands on.
const examples = filesBelow('examples', (path) => isTypeScript(path) && path.split('/').length === 2);
const [name, ...args] = process.argv.slice(2);

if (name !== undefined && name !== '--all') {
  const file = examples.find((path) => path === `examples/${name.replace(/\.ts$/, '')}.ts`);
  if (file === undefined) {
    console.error(`no example ${name}; there are: ${examples.map((path) => path.slice(9, -3)).join(', ') || 'none yet'}`);
    process.exit(2);
  }
  const { status } = spawnSync(process.execPath, ['scripts/run.mjs', file, ...args], { cwd: root, stdio: 'inherit' });
  process.exit(status ?? 1);
}

const cases = createCases();
if (examples.length === 0) console.log('none yet');
else ensureBuilt();
for (const example of examples) {
  await cases.run(example, async () => {
    await runOffline(await bundleProgram(example), { timeoutMs: TIMEOUT_MS, cwd: root });
    const text = readFileSync(join(root, example), 'utf8').replace(/^\/\*\*[\s\S]*?\*\/\n*/, '');
    const lines = text.trimEnd().split('\n').length;
    if (lines > MOST_LINES) throw new Error(`${lines} lines below its first comment, at most ${MOST_LINES}`);
  });
}
cases.finish();
