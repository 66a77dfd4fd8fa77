/**
 * What a machine keeps between its processes: files, names, meters.
 *
 * When does a file survive a crash? From the answer of `writeFile` on; until then the old content is what a crash leaves.
 */
import { EvenkeelError } from '../core/errors.js';
import type { DnsRecord } from '../core/host.js';
import type { VirtualClock } from '../core/virtual-clock.js';

/** From the call to the flush, milliseconds of virtual time. */
const WRITE_MS = 2;
const MAX_WARNINGS = 1000;

export class SimHost {
  readonly processors: number;
  /** What is on the disk. */
  readonly files = new Map<string, Uint8Array>();
  readonly variables = new Map<string, string>();
  /** Answers of the name servers, by `name type`; an error is thrown. */
  readonly names = new Map<string, DnsRecord[] | EvenkeelError>();
  /** The first thousand. */
  readonly warnings: string[] = [];
  /** Set by service models. */
  cpuMs = 0;
  delayMs = 0;
  loopUtilization = 0;
  /** Thrown by reads and writes while set. */
  fileError: EvenkeelError | undefined;
  readonly #world: VirtualClock;
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(world: VirtualClock, processors: number) {
    this.#world = world;
    this.processors = processors;
  }

  read(path: string, maxBytes: number): Uint8Array | undefined {
    if (this.fileError !== undefined) throw this.fileError;
    const bytes = this.files.get(path);
    if (bytes !== undefined && bytes.length > maxBytes) {
      throw new EvenkeelError('out-of-range', `${path} has ${bytes.length} bytes; at most ${maxBytes} are read`);
    }
    return bytes?.slice();
  }

  /** Replaces a file once its bytes are flushed, unless cancelled before. */
  write(path: string, bytes: Uint8Array, onDone: (error?: EvenkeelError) => void): () => void {
    const timer = this.#world.timer(WRITE_MS, () => {
      if (this.fileError !== undefined) return onDone(this.fileError);
      this.files.set(path, bytes);
      onDone();
      for (const onChange of this.#watchers.get(path) ?? []) onChange();
    });
    return () => timer.cancel();
  }

  /** @returns Ends it. */
  watch(path: string, onChange: () => void): () => void {
    const watchers = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, watchers.add(onChange));
    return () => watchers.delete(onChange);
  }

  resolve(name: string, type: 'A' | 'AAAA' | 'SRV'): DnsRecord[] {
    const answer = this.names.get(`${name} ${type}`) ?? [];
    if (answer instanceof Error) throw answer;
    return answer;
  }

  warn(message: string): void {
    if (this.warnings.length < MAX_WARNINGS) this.warnings.push(message);
  }
}
