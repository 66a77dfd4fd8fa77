/**
 * The one list of public subpaths: package.json's exports map. The build's entries, the aliases of the tests, the package test and
 * the size table all read it here, so a new subpath is added in one place. Likewise the programs, in package.json's bin.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, with a slash at the end. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * @typedef {object} Subpath
 * @property {string} key - As in the exports map: `./core`.
 * @property {string} name - As a user imports it: `evenkeel/core`.
 * @property {string} source - `src/core/index.ts`
 * @property {string} output - `dist/core/index.js`
 * @property {string} types - `dist/core/index.d.ts`
 */

/** @returns {Subpath[]} */
export function subpaths() {
  /** @type {{ name: string, exports: Record<string, { types: string, default: string }> }} */
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return Object.entries(manifest.exports).map(([key, target]) => {
    const output = target.default.replace(/^\.\//, '');
    return {
      key,
      name: manifest.name + key.slice(1),
      source: output.replace(/^dist\//, 'src/').replace(/\.js$/, '.ts'),
      output,
      types: target.types.replace(/^\.\//, ''),
    };
  });
}

/**
 * @typedef {object} Program
 * @property {string} name - As it is called: `evenkeel`.
 * @property {string} source - `src/cli/main.ts`
 * @property {string} output - `dist/cli/main.js`
 *
 * @returns {Program[]}
 */
export function programs() {
  /** @type {{ bin?: Record<string, string> }} */
  const { bin = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return Object.entries(bin).map(([name, target]) => {
    const output = target.replace(/^\.\//, '');
    return { name, output, source: output.replace(/^dist\//, 'src/').replace(/\.js$/, '.ts') };
  });
}

/**
 * Splits the list by whether the source file is there. A subpath may be announced before it is written; CI takes that for a
 * failure (see package-test.mjs).
 */
export function presentSubpaths() {
  const all = subpaths();
  const isPresent = (/** @type {Subpath} */ subpath) => existsSync(join(root, subpath.source));
  return { present: all.filter(isPresent), missing: all.filter((subpath) => !isPresent(subpath)) };
}
