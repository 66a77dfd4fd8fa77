/**
 * Writes this instance's report: every ten seconds, and within five of a change, at moments drawn by chance, so that a thousand instances make two hundred
 * writes a second at most. A store that is gone costs nothing but the report.
 */
import type { Timer } from '../core/clock.js';
import { within } from '../core/internal/within.js';
import type { Runtime } from '../core/runtime.js';
import type { StateTransport } from '../core/transport/state.js';
import type { KnobDefinition } from './definition.js';
import { encodeRegistry, encodeReport, type InstanceReport, registryKey, reportKey } from './report.js';

export interface ReporterOptions {
  readonly state: StateTransport;
  readonly scope: string;
  readonly service: string;
  readonly instance: string;
  readonly everyMs: number;
  readonly runtime: Runtime;
  readonly report: () => InstanceReport;
  readonly definitions: () => readonly KnobDefinition[];
  readonly onError: (error: unknown) => void;
}

/** Reports that may go missing before an instance counts as gone. */
const LEASES = 3;
const JITTER = 0.2;
/** Registries of code that nobody has run for a day are gone. */
const REGISTRY_LEASE_MS = 24 * 3_600_000;
const REGISTRY_EVERY_MS = 6 * 3_600_000;
const ANSWER_WITHIN_MS = 5000;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #random: () => number;
  #timer: Timer;
  #dueAtMs = 0;
  #registered = '';
  #registerAgainMs = 0;
  #writing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
    const random = options.runtime.random.fork('knob reports');
    this.#random = () => random.next();
    this.#timer = this.#later(this.#random() * this.#options.everyMs);
  }

  /** Something has changed that an operator waits for. */
  hurry(): void {
    const ms = (this.#random() * this.#options.everyMs) / 2;
    if (this.#isClosed || this.#options.runtime.clock.now() + ms > this.#dueAtMs) return;
    this.#timer.cancel();
    this.#timer = this.#later(ms);
  }

  /** Takes the report back. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer.cancel();
    await this.#writing;
    const { instance, runtime, scope, service, state } = this.#options;
    await within(runtime.clock, ANSWER_WITHIN_MS, (signal) =>
      state.delete(reportKey(scope, service, instance), { signal }),
    ).catch(() => {
      // Its lease ends by itself.
    });
  }

  #later(ms: number): Timer {
    const { clock } = this.#options.runtime;
    this.#dueAtMs = clock.now() + ms;
    return clock.timer(ms, () => {
      const { everyMs } = this.#options;
      this.#timer = this.#later(everyMs * (1 + JITTER * (2 * this.#random() - 1)));
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
    });
  }

  async #write(): Promise<void> {
    const { everyMs, onError, report, runtime, scope, state } = this.#options;
    const told = report();
    try {
      await within(runtime.clock, ANSWER_WITHIN_MS, async (signal) => {
        const isDue = runtime.clock.now() >= this.#registerAgainMs;
        if (isDue || this.#registered !== told.registryHash) await this.#register(told, signal);
        const leaseMs = LEASES * everyMs;
        await state.put(reportKey(scope, told.service, told.instance), encodeReport(told), { leaseMs, signal });
      });
    } catch (error) {
      if (!this.#isClosed) onError(error);
    }
  }

  /** Once for all instances of the same code, and again before it falls out: code that nobody runs any more is forgotten. */
  async #register({ registryHash, service }: InstanceReport, signal: AbortSignal): Promise<void> {
    const { definitions, runtime, scope, state } = this.#options;
    const key = registryKey(scope, service, registryHash);
    const isFirst = this.#registered !== registryHash;
    if (!isFirst || (await state.get(key, { signal })) === undefined)
      await state.put(key, encodeRegistry(definitions()), { leaseMs: REGISTRY_LEASE_MS, signal });
    this.#registered = registryHash;
    this.#registerAgainMs = runtime.clock.now() + REGISTRY_EVERY_MS * (1 + JITTER * (2 * this.#random() - 1));
  }
}
