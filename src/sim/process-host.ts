/** A machine's files, names and meters as one process of it sees them: what a dead process asks for is never done, and never answered. */
import type { DnsRecord, Host } from '../core/host.js';
import type { SimHost } from './host.js';

/** The process, as far as its host needs it. */
export interface HostedProcess {
  operate<T>(operation: () => T): T | undefined;
  enter(work: () => void): void;
  onKill(react: () => void): () => void;
}

export class ProcessHost implements Host {
  readonly #process: HostedProcess;
  readonly #host: SimHost;

  constructor(process: HostedProcess, host: SimHost) {
    this.#process = process;
    this.#host = host;
  }

  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.#answered(() => this.#host.read(path, maxBytes));
  }

  writeFile(path: string, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    return new Promise((resolve, reject) => {
      this.#process.operate(() => {
        const cancel = this.#host.write(path, copy, (error) => {
          forget();
          this.#process.enter(() => (error === undefined ? resolve() : reject(error)));
        });
        // Who asked is gone: nothing is renamed.
        const forget = this.#process.onKill(cancel);
      });
    });
  }

  watchFile(path: string, onChange: () => void): Disposable {
    const stop = this.#host.watch(path, () => this.#process.enter(onChange));
    const forget = this.#process.onKill(stop);
    return {
      [Symbol.dispose]() {
        forget();
        stop();
      },
    };
  }

  lookup(name: string, type: 'A' | 'AAAA' | 'SRV'): Promise<DnsRecord[]> {
    return this.#answered(() => this.#host.resolve(name, type));
  }

  env(name: string): string | undefined {
    return this.#host.variables.get(name);
  }

  eventLoopDelayMs(): number {
    return this.#host.delayMs;
  }

  eventLoopUtilization(): number {
    return this.#host.loopUtilization;
  }

  parallelism(): number {
    return this.#host.processors;
  }

  cpuTimeMs(): number {
    return this.#host.cpuMs;
  }

  warn(message: string): void {
    this.#host.warn(message);
  }

  #answered<T>(ask: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#process.operate(() => {
        let answer: T;
        try {
          answer = ask();
        } catch (error) {
          return queueMicrotask(() => this.#process.enter(() => reject(error)));
        }
        queueMicrotask(() => this.#process.enter(() => resolve(answer)));
      });
    });
  }
}
