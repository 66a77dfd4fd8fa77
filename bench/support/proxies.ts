/** The proxies that are measured, each a process of its own: ours, and HAProxy, the leanest there is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programVersion } from './versions.js';

export interface ProxyProcess extends AsyncDisposable {
  readonly address: string;
  /** Microseconds of CPU so far, of all its threads. */
  cpu(): number;
}

/** Ours, as a user starts it. Benchmarks run from the repository's root, against the built library. */
export async function startOurs(config: { services: object; routes: readonly object[] }): Promise<ProxyProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
  const path = join(folder, 'proxy.json');
  writeFileSync(path, JSON.stringify({ ...config, listen: { addresses: ['127.0.0.1:0'] } }));
  const child = spawn(process.execPath, ['dist/cli/main.js', 'proxy', '--config', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data');
  const { addresses: listening } = JSON.parse(String(line)) as { addresses: string[] };
  return running(child, `http://${listening[0]}`, folder);
}

/** One thread, power of two choices, kept connections. Or why it does not run. */
export async function startHaproxy(addresses: readonly string[]): Promise<ProxyProcess | string> {
  if (programVersion('haproxy') === undefined) return 'haproxy is not installed: apt-get install haproxy';
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
  const backends = addresses.map((address, i) => `  server s${i} ${new URL(address).host}`).join('\n');
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `global
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  balance random(2)
${backends}
`,
  );
  const child = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: 'ignore' });
  await new Promise((resolve) => setTimeout(resolve, 500));
  return running(child, `http://127.0.0.1:${port}`, folder);
}

function running(child: ChildProcess, address: string, folder: string): ProxyProcess {
  return {
    address,
    cpu: () => {
      // schedstat counts nanoseconds on the processor: finer than the ticks of /proc/PID/stat.
      const tasks = `/proc/${child.pid}/task`;
      const ns = readdirSync(tasks).map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]));
      return ns.reduce((sum, one) => sum + one, 0) / 1000;
    },
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
