import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { root, subpaths } from '../../scripts/lib/subpaths.mjs';

const isDist = process.env.EVENKEEL_DIST === '1';

/** A program that does nothing but wait for one call, in a process of its own. */
const program = (body: string) => `
  import { createRuntime, staticResolver } from 'evenkeel/core';
  import { createMemoryCall } from 'evenkeel/memory';
  import { createRouter } from 'evenkeel/router';
  const transport = createMemoryCall();
  const resolver = staticResolver(['memory://nobody']);
  ${body}
`;

async function run(body: string): Promise<{ code: number; out: string }> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: { contents: program(body), resolveDir: root },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    write: false,
    packages: isDist ? 'external' : undefined,
    external: ['lru-cache', 'eventemitter3', 'p-limit', '@opentelemetry/api'],
    alias: isDist ? {} : Object.fromEntries(subpaths().map(({ name, source }) => [name, join(root, source)])),
    tsconfigRaw: {},
    logLevel: 'error',
  });
  const node = promisify(execFile)(process.execPath, ['--input-type=module', '-'], { cwd: root, timeout: 10_000 });
  node.child.stdin?.end(outputFiles[0]?.text);
  return node.then(
    ({ stdout }) => ({ code: 0, out: stdout.trim() }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, out: stdout.trim() }),
  );
}

describe('a process', () => {
  it('stays for a call that waits to be repeated', async () => {
    const { code, out } = await run(`
      const router = createRouter({ service: 's', transport, resolver });
      await router.call({ path: '/' }).catch((error) => console.log(error.code, error.attempts));
    `);
    expect({ code, out }).toEqual({ code: 0, out: 'unavailable 3' });
  });

  it('does not stay for background work', async () => {
    const { code, out } = await run(`
      createRouter({ service: 's', transport, resolver, health: { intervalMs: 60_000 } });
      createRuntime().clock.coarse();
      console.log('done');
    `);
    expect({ code, out }).toEqual({ code: 0, out: 'done' });
  });
});
