/**
 * What each subpath adds to a program: minified, its dependencies included, its peers not. Fails when one outgrows its limit, so that
 * a careless import (a whole index from core, say) shows in the change that makes it.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { ensureBuilt } from './lib/program.mjs';
import { presentSubpaths, root } from './lib/subpaths.mjs';

/** Brotli kB (1000 bytes). About 1.3 times what was measured last; raise one only with a reason in the changelog. */
const LIMITS_KB = new Map([
  ['evenkeel', 76],
  ['evenkeel/core', 23],
  ['evenkeel/router', 72],
  ['evenkeel/limiter', 42],
  ['evenkeel/knobs', 24],
  ['evenkeel/sim', 112],
  ['evenkeel/http', 8],
  ['evenkeel/grpc', 9],
  ['evenkeel/nats', 28],
  ['evenkeel/files', 22],
  ['evenkeel/memory', 10.5],
  ['evenkeel/testing', 25],
]);

ensureBuilt();
const { peerDependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const rows = await Promise.all(
  presentSubpaths().present.map(async ({ name, output }) => {
    const { outputFiles } = await build({
      entryPoints: [join(root, output)],
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: Object.keys(peerDependencies),
      write: false,
      // tsup's chunks import each other for effects that they do not have.
      logOverride: { 'ignored-bare-import': 'silent' },
    });
    const bytes = outputFiles[0]?.contents ?? new Uint8Array();
    return {
      name,
      rawKb: bytes.length / 1000,
      gzipKb: gzipSync(bytes, { level: 9 }).length / 1000,
      brotliKb: brotliCompressSync(bytes).length / 1000,
      limitKb: LIMITS_KB.get(name),
    };
  }),
);

if (process.argv.includes('--json')) console.log(JSON.stringify(rows, null, 2));
else {
  console.log(
    `${'subpath'.padEnd(20)}${'raw kB'.padStart(9)}${'gzip kB'.padStart(9)}${'brotli kB'.padStart(11)}${'limit'.padStart(8)}`,
  );
  for (const { name, rawKb, gzipKb, brotliKb, limitKb } of rows) {
    const cells = [rawKb.toFixed(1).padStart(9), gzipKb.toFixed(1).padStart(9), brotliKb.toFixed(1).padStart(11)];
    console.log(name.padEnd(20) + cells.join('') + String(limitKb ?? 'none').padStart(8));
  }
}
for (const { name, brotliKb, limitKb } of rows) {
  if (limitKb !== undefined && brotliKb <= limitKb) continue;
  console.error(
    `${name}: ${limitKb === undefined ? 'has no limit, give it one' : `${brotliKb.toFixed(1)} kB is over ${limitKb} kB`}`,
  );
  process.exitCode = 1;
}
