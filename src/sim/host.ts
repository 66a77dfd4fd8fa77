/**
 * A machine's files, names and meters.
 *
 * When does a file survive a crash? From the answer of `writeFile` on; until then the old content is what a crash leaves.
 */

import { EvenkeelError } from '../core/errors.js';
import type { DnsRecord, Host } from '../core/host.js';
import type { VirtualClock } from '../core/virtual-clock.js';

/** From the call to the flush, milliseconds of virtual time. */
const WRITE_MS = 2;

export class SimHost implements Host {
  /** What is on the disk. */
  readonly files = new Map<string, Uint8Array>();
  readonly variables = new Map<string, string>();
  /** Answers of the name servers, by `name type`; an error is thrown. */
  readonly names = new Map<string, DnsRecord[] | EvenkeelError>();
  readonly warnings: string[] = [];
  /** Set by service models. */
  cpuMs = 0;
  delayMs = 0;
  /** Thrown by reads and writes while set. */
  fileError: EvenkeelError | undefined;
  readonly #world: VirtualClock;
  readonly #processors: number;
  readonly #watchers = new Map<string, Set<() => void>>();
  #boot = 0;

  constructor(world: VirtualClock, processors: number) {
    this.#world = world;
    this.#processors = processors;
  }

  async readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    if (this.fileError !== undefined) throw this.fileError;
    const bytes = this.files.get(path);
    if (bytes !== undefined && bytes.length > maxBytes) {
      throw new EvenkeelError('out-of-range', `${path} has ${bytes.length} bytes; at most ${maxBytes} are read`);
    }
    return bytes?.slice();
  }

  writeFile(path: string, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    const boot = this.#boot;
    return new Promise((resolve, reject) => {
      this.#world.timer(WRITE_MS, () => {
        // Who asked is gone: nothing was renamed, and nobody hears of it.
        if (boot !== this.#boot) return;
        if (this.fileError !== undefined) return reject(this.fileError);
        this.files.set(path, copy);
        resolve();
        for (const onChange of this.#watchers.get(path) ?? []) onChange();
      });
    });
  }

  watchFile(path: string, onChange: () => void): Disposable {
    const watchers = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, watchers.add(onChange));
    return { [Symbol.dispose]: () => watchers.delete(onChange) };
  }

  async lookup(name: string, type: 'A' | 'AAAA' | 'SRV'): Promise<DnsRecord[]> {
    const answer = this.names.get(`${name} ${type}`) ?? [];
    if (answer instanceof Error) throw answer;
    return answer;
  }

  env(name: string): string | undefined {
    return this.variables.get(name);
  }

  eventLoopDelayMs(): number {
    return this.delayMs;
  }

  parallelism(): number {
    return this.#processors;
  }

  cpuTimeMs(): number {
    return this.cpuMs;
  }

  warn(message: string): void {
    if (this.warnings.length < MAX_WARNINGS) this.warnings.push(message);
  }

  /** The process is gone: what it was writing is as before, and its watches end. */
  crash(): void {
    this.#boot++;
    this.#watchers.clear();
  }
}

const MAX_WARNINGS = 1000;
