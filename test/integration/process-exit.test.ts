import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { build } from 'esbuild';
import { createGrpcTransport } from 'evenkeel/grpc';
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
    external: ['lru-cache', 'eventemitter3', 'p-limit', '@opentelemetry/api', '@grpc/grpc-js'],
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

  it('does not stay for an idle connection of gRPC, nor for an endpoint that is gone', async () => {
    const server = createGrpcTransport({ grpc });
    const listener = await server.serve({ address: 'grpc://127.0.0.1:0' }, () => ({ status: 200, body: 'x' }));
    const { code, out } = await run(`
      import * as grpc from '@grpc/grpc-js';
      import { createGrpcTransport } from 'evenkeel/grpc';
      for (const address of ['${listener.address}', 'grpc://127.0.0.1:1']) {
        const router = createRouter({ service: 's', resolver: staticResolver([address]), transport: createGrpcTransport({ grpc }) });
        await router.call({ path: '/a.B/C' }).then(({ status }) => console.log(status), ({ code }) => console.log(code));
      }
    `);
    await listener.close();
    expect({ code, out }).toEqual({ code: 0, out: '200\nunavailable' });
  });
});
