import { defineConfig } from 'vitest/config';
import { root, subpaths } from './scripts/lib/subpaths.mjs';

/**
 * EVENKEEL_DIST=1 runs the tests that know public names only against the built library, loaded by node itself: the way .ci/run
 * tries other Node versions. By rule (check-imports.mjs) these are the files of three folders, unless named *.internal.test.ts.
 */
const isDist = process.env.EVENKEEL_DIST === '1';

export default defineConfig({
  resolve: {
    alias: subpaths().map(({ name, source, output }) => ({
      find: new RegExp(`^${name}$`),
      replacement: root + (isDist ? output : source),
    })),
  },
  test: {
    pool: 'threads',
    isolate: false,
    include: isDist ? ['test/{integration,conformance,property}/**/*.test.ts'] : ['test/**/*.test.ts'],
    exclude: isDist ? ['**/*.internal.test.ts'] : [],
    passWithNoTests: isDist,
    // The full check repeats random tests ten times as often and more (test/support/rounds.ts), on machines that may have little time for it.
    testTimeout: process.env.EVENKEEL_FULL === '1' ? 600_000 : 20_000,
    server: { deps: { external: [/\/dist\/.*\.js$/] } },
  },
});
