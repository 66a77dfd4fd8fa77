/**
 * The house rules a compiler does not know: who may import whom, one door per package, no cycles, no `export *`, file length, and
 * no clock, timer, chance or I/O outside the seams. A step of `npm run check`; the rules are told in CONTRIBUTING.md.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { checkCycles, checkLayers, checkPackages } from './imports/layers.mjs';
import { checkOutsideWorld } from './imports/outside-world.mjs';
import { lineOf, parseFiles } from './imports/parse.mjs';
import { filesBelow, isTypeScript } from './lib/files.mjs';
import { root } from './lib/subpaths.mjs';

/** @typedef {import('./imports/parse.mjs').Finding} Finding */
/** @typedef {import('./imports/parse.mjs').ParsedFile} ParsedFile */

const REASON_NEEDED_LINES = 320;
const MOST_LINES = 500;

/** Tests that also run against the built library (EVENKEEL_DIST=1), and the code they share. */
const PUBLIC_TEST = /^test\/(integration|conformance|property|support)\/(?!.*\.internal\.(test\.)?ts$)/;

/**
 * @param {ReadonlyMap<string, string>} files - Path from the root, with forward slashes, to text: src/** and test/**.
 * @returns {Finding[]}
 */
export function checkImports(files) {
  const { parsed, checker } = parseFiles(files);
  const sources = parsed.filter(({ path }) => path.startsWith('src/'));
  return [
    ...sources.flatMap((file) => [
      ...checkLayers(file),
      ...checkPackages(file),
      ...checkOutsideWorld(file, checker),
      ...checkExportAll(file),
      ...checkLength(file),
    ]),
    ...checkCycles(sources),
    ...parsed.filter(({ path }) => PUBLIC_TEST.test(path)).flatMap(checkPublicTest),
  ];
}

/** @param {ParsedFile} file @returns {Finding[]} */
function checkExportAll({ path, source }) {
  return source.statements
    .filter(
      (node) => ts.isExportDeclaration(node) && (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause)),
    )
    .map((node) => ({
      file: path,
      line: lineOf(node),
      rule: 'export-all',
      message: '`export *` makes everything public by accident, list the names',
      severity: 'error',
    }));
}

/** @param {ParsedFile} file @returns {Finding[]} */
function checkLength({ path, source }) {
  const lines = source.text.trimEnd().split('\n').length;
  if (lines <= REASON_NEEDED_LINES) return [];
  if (lines > MOST_LINES) {
    const message = `${lines} lines, over ${MOST_LINES}; split it by concept`;
    return [{ file: path, line: MOST_LINES + 1, rule: 'length', message, severity: 'error' }];
  }
  const [header] = ts.getLeadingCommentRanges(source.text, 0) ?? [];
  if (header !== undefined && /^[\s/*]*Length: *\S/m.test(source.text.slice(header.pos, header.end))) return [];
  const message = `${lines} lines, over ${REASON_NEEDED_LINES}; split it, or give the reason in its first comment on a line "Length: …"`;
  return [{ file: path, line: REASON_NEEDED_LINES + 1, rule: 'length', message, severity: 'warning' }];
}

/** @param {ParsedFile} file @returns {Finding[]} */
function checkPublicTest({ path, imports }) {
  return imports
    .filter(({ target, specifier }) => target?.startsWith('src/') || /(^|\/)src\//.test(specifier))
    .map(({ specifier, line }) => ({
      file: path,
      line,
      rule: 'public-test',
      message: `imports ${specifier}, use a public name ('evenkeel/…') or call the file *.internal.test.ts`,
      severity: 'error',
    }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const paths = [...filesBelow('src', isTypeScript), ...filesBelow('test', isTypeScript)];
  const findings = checkImports(new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')])));
  for (const { file, line, rule, message, severity } of findings) {
    console.log(`${file}:${line} ${rule}: ${message}${severity === 'warning' ? ' (warning)' : ''}`);
  }
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  console.log(`${paths.length} files, ${errors} errors, ${findings.length - errors} warnings`);
  process.exitCode = errors > 0 ? 1 : 0;
}
