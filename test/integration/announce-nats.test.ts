/** The example of processes that find each other, on NATS: the same program as in a folder, with one option changed. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, subpaths } from '../../scripts/lib/subpaths.mjs';
import { natsMissing, natsServer } from '../support/nats-server.js';

const isDist = process.env.EVENKEEL_DIST === '1';
/** Below the root, so that packages resolve. */
const programs = join(root, '.build', `announce-test-${process.pid}`);

describe.skipIf(natsMissing !== undefined)('processes that announce and resolve', () => {
  beforeAll(() =>
    build({
      absWorkingDir: root,
      entryPoints: ['examples/announce-between-processes.ts', 'examples/support/search-server.ts'],
      outdir: programs,
      outbase: 'examples',
      outExtension: { '.js': '.mjs' },
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      packages: isDist ? 'external' : undefined,
      external: ['undici', '@nats-io/transport-node', 'lru-cache', 'eventemitter3', 'p-limit', '@opentelemetry/api'],
      alias: isDist ? {} : Object.fromEntries(subpaths().map(({ name, source }) => [name, join(root, source)])),
      tsconfigRaw: {},
      logLevel: 'error',
    }),
  );
  afterAll(() => rmSync(programs, { recursive: true, force: true }));

  it('find each other on a server of NATS, and miss the one that is killed', { timeout: 30_000 }, async () => {
    await using server = await natsServer();
    const program = join(programs, 'announce-between-processes.mjs');
    const env = { ...process.env, NATS_URL: server.servers };
    const { stdout } = await promisify(execFile)(process.execPath, [program], { env, timeout: 25_000 });
    expect(stdout).toContain('the other answers');
  });
});
