/** The eight servers: started, slowed, killed, brought back, and stopped by their process ids. None outlives the demo. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { IncidentTarget } from './incidents.js';
import { roleOf, SAMPLE_MS, SERVERS, type ServerFigures, SLOW_FACTOR } from './parameters.js';
import type { FromReplica, ReplicaConfig, ToReplica } from './replica/messages.js';

export interface FleetListener {
  onSample(server: number, inFlight: number): void;
  /** A server ended that nobody killed, or did not come back. */
  onFailure(error: Error): void;
}

const PROGRAM = fileURLToPath(new URL('./replica.mjs', import.meta.url));

export class Fleet implements IncidentTarget {
  readonly #figures: ServerFigures;
  readonly #listener: FleetListener;
  readonly #children: (ChildProcess | undefined)[] = [];
  readonly #ports: number[] = [];
  /** Everything started and not yet seen to end. */
  readonly #alive = new Set<ChildProcess>();
  #isStopping = false;

  private constructor(figures: ServerFigures, listener: FleetListener) {
    this.#figures = figures;
    this.#listener = listener;
  }

  /** Resolves when all listen. */
  static async start(figures: ServerFigures, listener: FleetListener, signal: AbortSignal): Promise<Fleet> {
    const fleet = new Fleet(figures, listener);
    try {
      await Promise.all(Array.from({ length: SERVERS }, (_, server) => fleet.#spawn(server, 0)));
      signal.throwIfAborted();
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  get addresses(): string[] {
    return this.#ports.map((port) => `http://127.0.0.1:${port}`);
  }

  setSlowdown(server: number, factor: number): void {
    const message: ToReplica = { type: 'slowdown', factor };
    const child = this.#children[server];
    if (child?.connected) child.send(message);
  }

  kill(server: number): void {
    const child = this.#children[server];
    this.#children[server] = undefined;
    child?.kill('SIGKILL');
  }

  revive(server: number): void {
    this.#spawn(server, this.#ports[server] ?? 0).catch((error: Error) => {
      if (!this.#isStopping) this.#listener.onFailure(error);
    });
  }

  /** Resolves when every process has ended. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    // They hold nothing worth a graceful end.
    const ended = [...this.#alive].map((child) => {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      return exit;
    });
    await Promise.all(ended);
  }

  async #spawn(server: number, port: number): Promise<void> {
    const slowdown = roleOf(server) === 'slow' ? SLOW_FACTOR : 1;
    const config: ReplicaConfig = { index: server, port, slowdown, figures: this.#figures, sampleMs: SAMPLE_MS };
    const child = fork(PROGRAM, [JSON.stringify(config)], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#alive.add(child);
    this.#children[server] = child;
    await new Promise<void>((resolve, reject) => {
      child.on('error', reject);
      child.on('message', (message: FromReplica) => {
        if (message.type === 'sample') this.#listener.onSample(server, message.inFlight);
        else {
          this.#ports[server] = message.port;
          resolve();
        }
      });
      child.on('exit', (code, signal) => {
        this.#alive.delete(child);
        const error = new Error(`server ${server} ended by itself (${signal ?? `exit code ${code}`})`);
        reject(error);
        if (this.#children[server] === child && !this.#isStopping) this.#listener.onFailure(error);
      });
    });
  }
}
