/** Lists files below a folder of the repository, sorted, so that every script sees the same order on every machine. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './subpaths.mjs';

/**
 * @param {string} folder - From the root, with forward slashes.
 * @param {(path: string) => boolean} [isWanted]
 * @returns {string[]} Paths from the root. Empty when there is no such folder.
 */
export function filesBelow(folder, isWanted = () => true) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/'))
    .filter(isWanted)
    .sort();
}

/** @param {string} path */
export const isTypeScript = (path) => path.endsWith('.ts') && !path.endsWith('.d.ts');
