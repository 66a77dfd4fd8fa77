/**
 * Makes a TypeScript program of this repository (an example, the demo, a benchmark) runnable by plain node, against the built library.
 *
 * The programs import `evenkeel/router` as a user does. Bundled into .build/ with every package left external, that name resolves
 * to dist by the package's own exports map. So what runs is what is published, on any Node version, without a loader.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { filesBelow, isTypeScript } from './files.mjs';
import { presentSubpaths, programs, root } from './subpaths.mjs';

/** Builds the library unless dist is newer than everything it is made of. */
export function ensureBuilt() {
  const outputs = presentSubpaths().present.flatMap(({ output, types }) => [output, types]);
  const builtMs = Math.min(...[...outputs, ...programs().map(({ output }) => output)].map(modifiedMs));
  const sources = [...filesBelow('src'), 'package.json', 'tsup.config.ts', 'tsconfig.json', 'tsconfig.build.json'];
  if (sources.every((path) => modifiedMs(path) < builtMs)) return;
  // Its output goes to stderr: stdout belongs to the program that is run afterwards.
  const { status } = spawnSync('npm', ['run', 'build', '--silent'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the build failed: run `npm run build` to see why');
}

/** @param {string} path */
const modifiedMs = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0);

/**
 * Bundles `file` and every other TypeScript file below its top folder, each as an entry of its own, so that a program finds the
 * programs it starts: demo/replica.ts becomes .build/demo/replica.mjs.
 * @param {string} file - From the root.
 * @returns {Promise<string>} The runnable file's absolute path.
 */
export async function bundleProgram(file) {
  const [top = ''] = file.split('/');
  const entries = file.includes('/') ? filesBelow(top, isTypeScript) : [file];
  const result = await build({
    absWorkingDir: root,
    entryPoints: entries.includes(file) ? entries : [...entries, file],
    outbase: root,
    outdir: '.build',
    outExtension: { '.js': '.mjs' },
    chunkNames: `${top}/chunks/[name]-[hash]`,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    sourcemap: 'inline',
    write: false,
    logLevel: 'warning',
    // Not tsconfig.json: its paths would pull src into the bundle in place of the built library.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    plugins: [ownUrl],
  });
  for (const { path, contents } of result.outputFiles) writeIfChanged(path, contents);
  return outputOf(file);
}

/** @param {string} file */
const outputOf = (file) => join(root, '.build', file.replace(/\.ts$/, '.mjs'));

/**
 * Code that two entries share lands in a chunk, where `import.meta.url` would be the chunk's. Each file keeps the URL it would
 * have alone, so `new URL('./replica.mjs', import.meta.url)` means the same wherever it stands.
 * @type {import('esbuild').Plugin}
 */
const ownUrl = {
  name: 'own-url',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const url = pathToFileURL(outputOf(relative(root, path))).href;
      const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(url));
      return { contents, loader: 'ts' };
    });
  },
};

/**
 * Written by rename, and only when changed: another program may be starting from the same files.
 * @param {string} path @param {Uint8Array} contents
 */
function writeIfChanged(path, contents) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  writeFileSync(partial, contents);
  renameSync(partial, path);
}

/**
 * Runs a program to its end without the network, with its output collected.
 * @param {string} program - Absolute path of a .mjs file.
 * @param {{ timeoutMs: number, cwd: string }} options
 * @returns {Promise<string>} What it wrote to stdout. Rejects when it fails or takes longer.
 */
export function runOffline(program, { timeoutMs, cwd }) {
  return new Promise((resolve, reject) => {
    const guard = pathToFileURL(join(root, 'scripts/lib/offline.mjs')).href;
    const child = spawn(process.execPath, ['--enable-source-maps', '--import', guard, program], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else if (signal === 'SIGKILL') reject(new Error(`still running after ${timeoutMs} ms, killed\n${stdout}${stderr}`));
      else reject(new Error(`ended with ${signal ?? `exit code ${code}`}\n${stdout}${stderr}`));
    });
  });
}
