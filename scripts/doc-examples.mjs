/**
 * Keeps the code in README.md and docs/ true. By the words after the fence:
 *
 * - `ts run`: run offline; when a ```text block follows, what it prints must be that text, where `…` stands for anything on its line
 * - `ts`: checked against the library's types
 * - `ts nocheck`: neither, for a fragment
 *
 * And fails where a figure still waits to be filled in, by a name in capitals that ends in _TIME or _FIGURES.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCases } from './lib/cases.mjs';
import { filesBelow } from './lib/files.mjs';
import { bundleProgram, ensureBuilt, runOffline } from './lib/program.mjs';
import { root } from './lib/subpaths.mjs';

const TIMEOUT_MS = 20_000;
const PLACEHOLDER = /`[A-Z0-9]+_(TIME|FIGURES)`/;
const FOLDER = '.build/doc-examples';

/** @typedef {{ at: string, file: string, text: string, isRun: boolean, expected: string | undefined }} Example */

const pages = [
  ...(existsSync(join(root, 'README.md')) ? ['README.md'] : []),
  ...filesBelow('docs', (path) => path.endsWith('.md')),
];
const examples = pages.flatMap(examplesOf);
const cases = createCases();

await cases.run(`no placeholder in ${pages.length} pages`, checkPlaceholders);

rmSync(join(root, FOLDER), { recursive: true, force: true });
if (examples.length === 0) console.log('none yet');
else {
  mkdirSync(join(root, FOLDER), { recursive: true });
  for (const { file, text } of examples) writeFileSync(join(root, FOLDER, file), text);
  await cases.run(`types of ${examples.length} examples`, checkTypes);
}
const runs = examples.filter(({ isRun }) => isRun);
if (runs.length > 0) ensureBuilt();
for (const example of runs) {
  await cases.run(example.at, async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'evenkeel-doc-'));
    try {
      const program = await bundleProgram(`${FOLDER}/${example.file}`);
      const printed = await runOffline(program, { timeoutMs: TIMEOUT_MS, cwd });
      if (example.expected !== undefined) compare(example.expected, printed);
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  });
}
cases.finish();

function checkPlaceholders() {
  const left = pages.flatMap((page) =>
    readFileSync(join(root, page), 'utf8')
      .split('\n')
      .flatMap((text, i) => (PLACEHOLDER.test(text) ? [`${page}:${i + 1} ${PLACEHOLDER.exec(text)?.[0]}`] : [])),
  );
  if (left.length > 0) throw new Error(`to be filled in: ${left.join(', ')}`);
}

/**
 * @param {string} page
 * @returns {Example[]}
 */
function examplesOf(page) {
  const blocks = fencedBlocks(readFileSync(join(root, page), 'utf8'));
  return blocks.flatMap(({ info, line, text }, i) => {
    const [language, ...words] = info.split(/\s+/);
    if (language !== 'ts' || words.includes('nocheck')) return [];
    const next = blocks[i + 1];
    return {
      at: `${page}:${line}`,
      file: `${page.replaceAll('/', '__').replace(/\.md$/, '')}__L${line}.ts`,
      // Blank lines in front give the compiler's messages the line numbers of the page. `export` makes it a module.
      text: `${'\n'.repeat(line)}${text}\nexport {};\n`,
      isRun: words.includes('run'),
      expected: next?.info === 'text' ? next.text : undefined,
    };
  });
}

/** @param {string} markdown */
function fencedBlocks(markdown) {
  /** @type {{ info: string, line: number, text: string }[]} */
  const blocks = [];
  /** @type {{ info: string, line: number, lines: string[] } | undefined} */
  let open;
  for (const [i, text] of markdown.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(text);
    if (open === undefined) {
      if (fence !== null) open = { info: (fence[1] ?? '').trim(), line: i + 1, lines: [] };
    } else if (fence !== null) {
      blocks.push({ info: open.info, line: open.line, text: open.lines.join('\n') });
      open = undefined;
    } else {
      open.lines.push(text);
    }
  }
  return blocks;
}

function checkTypes() {
  const config = { extends: '../../tsconfig.json', compilerOptions: { noUnusedLocals: false, noUnusedParameters: false } };
  const path = join(root, FOLDER, 'tsconfig.json');
  writeFileSync(path, JSON.stringify({ ...config, include: ['*.ts'], exclude: [] }));
  const { status, stdout } = spawnSync(process.execPath, ['node_modules/typescript7/bin/tsc', '-p', path], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status === 0) return;
  throw new Error(stdout.replace(/^.*\/doc-examples\/(.*)__L\d+\.ts/gm, (_, page) => `${page.replaceAll('__', '/')}.md`));
}

/** @param {string} expected @param {string} printed */
function compare(expected, printed) {
  const want = expected.trimEnd().split('\n');
  const got = printed.trimEnd().split('\n');
  for (let i = 0; i < Math.max(want.length, got.length); i++) {
    const line = want[i];
    const pattern = line
      ?.split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*');
    if (pattern !== undefined && got[i] !== undefined && new RegExp(`^${pattern}$`).test(got[i] ?? '')) continue;
    throw new Error(`line ${i + 1} of its output\n  expected: ${line ?? '(nothing)'}\n  printed:  ${got[i] ?? '(nothing)'}`);
  }
}
