/** A Host in memory, and a Runtime on virtual time with it: files, name servers and the operator's channel as maps and lists. */
import {
  createRuntime,
  type DnsRecord,
  EvenkeelError,
  type Host,
  type Runtime,
  seededRandom,
  type Telemetry,
  type VirtualClock,
  virtualClock,
} from 'evenkeel/core';

export class FakeHost implements Host {
  readonly files = new Map<string, Uint8Array>();
  readonly variables = new Map<string, string>();
  readonly warnings: string[] = [];
  /** Answers by `name type`; a missing one is empty, an error is thrown, a promise is waited for. */
  readonly names = new Map<string, DnsRecord[] | Error | Promise<DnsRecord[]>>();
  readonly lookups: string[] = [];
  /** Thrown by every read and write while set. */
  fileError: EvenkeelError | undefined;
  writes = 0;
  cpuMs = 0;
  delayMs = 0;
  loopUtilization = 0;
  processors = 4;
  readonly #watchers = new Map<string, Set<() => void>>();

  /** Puts a file there and tells its watchers, unless `isSilent`. */
  setFile(path: string, content: unknown, isSilent = false): void {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    this.files.set(path, new TextEncoder().encode(text));
    if (!isSilent) for (const onChange of this.#watchers.get(path) ?? []) onChange();
  }

  watchers(path: string): number {
    return this.#watchers.get(path)?.size ?? 0;
  }

  async readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    if (this.fileError !== undefined) throw this.fileError;
    const bytes = this.files.get(path);
    if (bytes !== undefined && bytes.length > maxBytes) throw new EvenkeelError('out-of-range', `${path} is too long`);
    return bytes;
  }

  async writeFile(path: string, bytes: Uint8Array): Promise<void> {
    if (this.fileError !== undefined) throw this.fileError;
    this.writes++;
    this.files.set(path, bytes.slice());
  }

  watchFile(path: string, onChange: () => void): Disposable {
    const watchers = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, watchers.add(onChange));
    return { [Symbol.dispose]: () => watchers.delete(onChange) };
  }

  async lookup(name: string, type: 'A' | 'AAAA' | 'SRV'): Promise<DnsRecord[]> {
    this.lookups.push(`${name} ${type}`);
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

  eventLoopUtilization(): number {
    return this.loopUtilization;
  }

  parallelism(): number {
    return this.processors;
  }

  cpuTimeMs(): number {
    return this.cpuMs;
  }

  warn(message: string): void {
    this.warnings.push(message);
  }
}

export interface FakeRuntime extends Runtime {
  readonly clock: VirtualClock;
  readonly host: FakeHost;
}

/** Virtual time, seeded chance, a machine in memory. */
export function fakeRuntime(
  options: { seed?: number; host?: FakeHost; clock?: VirtualClock; telemetry?: Telemetry } = {},
): FakeRuntime {
  const clock = options.clock ?? virtualClock();
  const host = options.host ?? new FakeHost();
  const { seed = 1, telemetry } = options;
  const random = seededRandom(seed);
  return { ...createRuntime({ clock, host, random, ...(telemetry && { telemetry }) }), clock, host };
}
