/**
 * `npm run build`: JavaScript by tsup, declarations by TypeScript 7. tsup could make declarations too, but takes 17 s for what the
 * native compiler does in one.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { filesBelow } from './lib/files.mjs';
import { presentSubpaths, programs, root } from './lib/subpaths.mjs';

rmSync(join(root, 'dist'), { recursive: true, force: true });
node('node_modules/tsup/dist/cli-default.js', '--silent');
node('node_modules/typescript7/bin/tsc', '-p', 'tsconfig.build.json');
checkDeclarations();
// A package manager does this when it installs; here it makes the built program one that can be called.
for (const { output } of programs()) chmodSync(join(root, output), 0o755);

const { present, missing } = presentSubpaths();
console.log(`built ${present.map(({ name }) => name).join(', ')}`);
for (const { name, source } of missing) console.log(`note: no ${name} yet, ${source} does not exist`);

/** @param {string[]} args */
function node(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail(`${args[0]} failed`);
}

/** A declaration that names another by a path only this repository understands breaks every user, and nothing here would notice. */
function checkDeclarations() {
  const bad = filesBelow('dist', (path) => path.endsWith('.d.ts')).flatMap((path) =>
    ts
      .preProcessFile(readFileSync(join(root, path), 'utf8'))
      .importedFiles.map(({ fileName }) => fileName)
      .filter((name) => /^evenkeel(\/|$)/.test(name) || (name.startsWith('.') && !name.endsWith('.js')))
      .map((name) => `${path} imports '${name}': declarations import relative paths that end in .js`),
  );
  if (bad.length > 0) fail(bad.join('\n'));
}

/**
 * Leaves no half-made dist: its age is how other scripts know that it is built.
 * @param {string} message @returns {never}
 */
function fail(message) {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  console.error(`build: ${message}`);
  process.exit(1);
}
