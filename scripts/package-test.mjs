/**
 * Tests what is packed, not what is built: packs, installs the tarball into an empty folder, and uses it there as a user does.
 *
 * `--node PATH` runs only the cases that depend on the Node version, with that binary.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { createCases } from './lib/cases.mjs';
import { ensureBuilt } from './lib/program.mjs';
import { presentSubpaths, programs, root } from './lib/subpaths.mjs';

const WANTED = /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|dist\/[\w./-]+\.(js|js\.map|d\.ts))$/;

const { values } = parseArgs({ options: { node: { type: 'string' } } });
const { present, missing } = presentSubpaths();
const cases = createCases();

ensureBuilt();
const consumer = mkdtempSync(join(tmpdir(), 'evenkeel-package-'));
try {
  const files = packAndInstall();
  for (const { name, source } of missing) {
    if (process.env.CI === undefined) cases.skip(name, `${source} does not exist yet`);
    else await cases.run(name, () => fail(`${source} does not exist`));
  }
  await testLoading(values.node ?? process.execPath);
  await testPrograms(values.node ?? process.execPath);
  if (values.node === undefined) {
    await testContents(files);
    await testTypes();
    await cases.run('publint has no complaint', lint);
  }
} finally {
  rmSync(consumer, { recursive: true, force: true });
}
cases.finish();

/** @returns {string[]} The files in the tarball. */
function packAndInstall() {
  // Scripts are off: `prepack` would build once more.
  const packed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', consumer], root);
  const [{ filename, files }] = /** @type {[{ filename: string, files: { path: string }[] }]} */ (JSON.parse(packed));
  writeFileSync(join(consumer, 'package.json'), '{ "name": "consumer", "private": true }\n');
  cpSync(join(root, 'test/package/consumer'), consumer, { recursive: true });
  const tarball = join(consumer, basename(filename));
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', tarball], consumer);
  return files.map(({ path }) => path);
}

/** Loading depends on the Node version, and on which peers are there. @param {string} node */
async function testLoading(node) {
  const names = present.map(({ name }) => name);
  const load = (/** @type {string} */ how, /** @type {string[]} */ ...args) => run(node, [`load.${how}`, ...args], consumer);

  await cases.run('the consumer has no peer installed', () => load('mjs', 'absent', 'undici'));
  for (const name of names) {
    await cases.run(`import ${name}`, () => load('mjs', 'present', name));
    await cases.run(`require ${name}`, () => load('cjs', 'present', name));
  }
  const deep = ['evenkeel/dist/core/index.js', 'evenkeel/core/clock', 'evenkeel/core/index.js', 'evenkeel/src/core/index.ts'];
  await cases.run('deep paths do not resolve', () => load('mjs', 'closed', ...deep));
  await cases.run('import and require give the same classes', () => load('cjs', 'same', ...names));

  const peer = join(consumer, 'node_modules/undici');
  mkdirSync(peer);
  writeFileSync(join(peer, 'package.json'), '{ "name": "undici", "version": "7.30.2", "main": "index.js" }\n');
  writeFileSync(join(peer, 'index.js'), 'throw new Error("a peer was loaded");\n');
  for (const name of names)
    await cases.run(`import ${name} does not load a peer that is there`, () => load('mjs', 'present', name));
  rmSync(peer, { recursive: true });
}

/** As installed, by the name that a user types; and by the file, so that another Node can run it. @param {string} node */
async function testPrograms(node) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const { name, output } of programs()) {
    const file = join('node_modules/evenkeel', output);
    await cases.run(`${name} --version`, () => equal(run(node, [file, '--version'], consumer), `${version}\n`));
    if (node !== process.execPath) continue;
    await cases.run(`npx ${name} --version`, () => {
      equal(run('npx', ['--no-install', name, '--version'], consumer), `${version}\n`);
    });
  }
  writeFileSync(
    join(consumer, 'proxy.json'),
    JSON.stringify({ services: { a: { resolver: { static: ['http://127.0.0.1:9'] } } }, routes: [{ service: 'a' }] }),
  );
  const proxy = ['node_modules/evenkeel/dist/cli/main.js', 'proxy', '--config', 'proxy.json'];
  await cases.run('evenkeel proxy --check', () => equal(run(node, [...proxy, '--check'], consumer), 'proxy.json is good\n'));
  await cases.run('evenkeel proxy without its peer says which it is', () => {
    const { status, stderr } = spawnSync(node, proxy, { cwd: consumer, encoding: 'utf8' });
    if (status !== 1 || !stderr.includes('npm install undici')) fail(`ended with ${status}: ${stderr}`);
  });
}

/** @param {string} got @param {string} wanted */
function equal(got, wanted) {
  if (got !== wanted) fail(`printed ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
}

/** @param {string[]} files */
async function testContents(files) {
  await cases.run('the tarball has only the wanted files', () => {
    const unwanted = files.filter((path) => !WANTED.test(path));
    if (unwanted.length > 0) fail(`unwanted: ${unwanted.join(', ')}`);
  });
  await cases.run('every entry has its declarations', () => {
    const without = present.filter(({ output, types }) => !files.includes(output) || !files.includes(types));
    if (without.length > 0) fail(`incomplete: ${without.map(({ name }) => name).join(', ')}`);
  });
  await cases.run('no file names a path of the build machine', () => {
    const paths = [root.slice(0, -1), `${homedir()}/`];
    for (const file of files) {
      const text = readFileSync(join(consumer, 'node_modules/evenkeel', file), 'utf8');
      const path = paths.find((candidate) => text.includes(candidate));
      if (path !== undefined) fail(`${file} contains ${path}`);
    }
  });
}

/** Both compilers, both ways to resolve, and without skipLibCheck: a user may not have it. */
async function testTypes() {
  // Linked, not installed: the types of Node are the consumer's own, and this works without a network.
  symlinkSync(join(root, 'node_modules/@types'), join(consumer, 'node_modules/@types'));
  for (const compiler of ['typescript', 'typescript7']) {
    for (const resolution of ['nodenext', 'bundler']) {
      await cases.run(`a strict consumer compiles: ${compiler}, ${resolution}`, () => {
        run(process.execPath, [join(root, 'node_modules', compiler, 'bin/tsc'), '-p', `tsconfig.${resolution}.json`], consumer);
      });
    }
  }
}

async function lint() {
  const pkgDir = join(consumer, 'node_modules/evenkeel');
  const { messages, pkg } = await publint({ pkgDir, pack: false, strict: true });
  const isExpected = (/** @type {{ path: string[] }} */ { path }) => missing.some(({ key }) => path.includes(key));
  const texts = messages
    .filter((message) => !isExpected(message))
    .map((message) => formatMessage(message, pkg, { color: false }));
  if (texts.length > 0) fail(texts.join('\n'));
}

/** @param {string} command @param {string[]} args @param {string} cwd */
function run(command, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) fail(`${command} ${args.join(' ')} ended with ${error?.message ?? status}\n${stdout}${stderr}`);
  return stdout;
}

/** @param {string} message @returns {never} */
function fail(message) {
  throw new Error(message);
}
