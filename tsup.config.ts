import { defineConfig } from 'tsup';
import { presentSubpaths, programs } from './scripts/lib/subpaths.mjs';

export default defineConfig({
  // src/core/index.ts becomes dist/core/index.js: the exports map and the programs in bin are the only list of entries.
  entry: Object.fromEntries(
    [...presentSubpaths().present, ...programs()].map(({ source, output }) => [output.replace(/^dist\/|\.js$/g, ''), source]),
  ),
  format: 'esm',
  target: 'node20',
  platform: 'node',
  // Without splitting each entry carries its own copy of core, and two copies do not know each other's errors and counters.
  splitting: true,
  sourcemap: true,
  dts: false,
});
