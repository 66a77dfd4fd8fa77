/**
 * `node scripts/run.mjs FILE [args…]`: runs a TypeScript program of this repository against the built library, building first when
 * src is newer. EVENKEEL_NODE names another node binary to run it with.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { bundleProgram, ensureBuilt } from './lib/program.mjs';
import { root } from './lib/subpaths.mjs';

const [file, ...args] = process.argv.slice(2);
const path = relative(root, resolve(file ?? '')).replaceAll('\\', '/');
if (file === undefined || !existsSync(join(root, path)) || path.startsWith('..') || !path.endsWith('.ts')) {
  console.error(`usage: node scripts/run.mjs FILE [args…]\n${file ?? 'FILE'} is not a TypeScript file of this repository`);
  process.exit(2);
}

ensureBuilt();
const program = await bundleProgram(path);
const node = process.env.EVENKEEL_NODE ?? process.execPath;
const child = spawn(node, ['--enable-source-maps', program, ...args], { stdio: 'inherit' });

process.on('SIGTERM', () => child.kill('SIGTERM'));
// A terminal sends Ctrl-C to the child as well; passed on, it would count twice and cut a graceful stop short.
process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
child.on('error', (error) => {
  console.error(`cannot run ${node}: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
