/**
 * nats-server as a child process on a free loopback port, with a store of its own.
 *
 * None is left behind: the operating system kills the server with the process that started it, however that ends.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const INSTALL = 'apt-get install nats-server';

/** Why tests that need the server cannot run here; undefined when they can. With CI=true a missing program is a failure. */
export const natsMissing: string | undefined = findMissing();

function findMissing(): string | undefined {
  const missing = ['nats-server', 'setpriv'].filter((program) => {
    try {
      execFileSync(program, ['--version'], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return undefined;
  const hint = `${missing.join(' and ')} not found (Debian: ${INSTALL}; setpriv comes with util-linux)`;
  if (process.env.CI === 'true') throw new Error(hint);
  console.warn(`skipped: ${hint}`);
  return hint;
}

export interface NatsServerOptions {
  /** Lines of its configuration file. */
  config?: string;
  /** Default true. */
  jetstream?: boolean;
}

export class NatsServer implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #options: NatsServerOptions;
  #process: ChildProcess;

  constructor(port: number, folder: string, options: NatsServerOptions, child: ChildProcess) {
    this.port = port;
    this.#folder = folder;
    this.#options = options;
    this.#process = child;
  }

  /** What clients connect to. */
  get servers(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const gone = once(this.#process, 'exit');
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill(signal);
    await gone;
  }

  /** Starts it again, on the same port and store. Resolves when it takes connections. */
  async restart(): Promise<void> {
    await this.kill();
    this.#process = launch(this.#folder, this.port, this.#options);
    await accepts(this.port, this.#process);
  }

  /** Stops answering, without closing anything. */
  pause(): void {
    this.#process.kill('SIGSTOP');
  }

  resume(): void {
    this.#process.kill('SIGCONT');
  }

  /** Calendar time of the last change of a file in the store's folder of streams: what came before it survives a kill. */
  writtenAtMs(file: string): number {
    const path = join(this.#folder, 'store/jetstream/$G/streams', file);
    return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export async function natsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-nats-'));
  const child = launch(folder, -1, options);
  for (;;) {
    if (child.exitCode !== null) throw new Error(`nats-server ended with ${child.exitCode}`);
    const file = readdirSync(folder).find((name) => name.endsWith('.ports'));
    const port = file === undefined ? undefined : portIn(join(folder, file));
    if (port !== undefined) {
      await accepts(port, child);
      return new NatsServer(port, folder, options, child);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Three servers that know each other. JetStream answers once they have chosen a leader. */
export async function natsCluster(): Promise<NatsServer[]> {
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(', ');
  return Promise.all(
    ports.map((port, i) => {
      const config = `server_name: n${i}\ncluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      return natsServer({ config });
    }),
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function launch(folder: string, port: number, { config, jetstream = true }: NatsServerOptions): ChildProcess {
  const store = join(folder, 'store');
  mkdirSync(store, { recursive: true });
  const args = ['-a', '127.0.0.1', '-p', String(port), '--ports_file_dir', folder];
  if (jetstream) args.push('-js', '-sd', store);
  if (config !== undefined) {
    const path = join(folder, 'server.conf');
    writeFileSync(path, config);
    args.push('-c', path);
  }
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'nats-server', ...args], { stdio: 'ignore' });
  child.on('error', () => {});
  return child;
}

/** Half a file does not parse: it is being written. */
function portIn(path: string): number | undefined {
  try {
    const { nats } = JSON.parse(readFileSync(path, 'utf8')) as { nats?: string[] };
    const port = Number(/:(\d+)$/.exec(nats?.[0] ?? '')?.[1]);
    return Number.isNaN(port) ? undefined : port;
  } catch {
    return undefined;
  }
}

async function accepts(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (isUp) return;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('nats-server did not start');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
