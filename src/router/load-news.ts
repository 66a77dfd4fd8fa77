/** How a router hears of its endpoints' load: from the sources it was given, and from the probes of its pickers. One place takes it in. */
import type { EventSource } from '../core/events.js';
import type { LoadReport } from '../core/load-report.js';
import type { Random } from '../core/random.js';
import type { Runtime } from '../core/runtime.js';
import type { TimerWheel } from '../core/timer-wheel.js';
import type { CallTransport } from '../core/transport/call.js';
import type { Candidate } from './candidate.js';
import type { EndpointTable } from './endpoint-table.js';
import type { RouterEvents } from './events.js';
import { LoadProber } from './load-prober.js';
import { RunningSources } from './load-sources/running.js';
import type { LoadSource } from './load-sources/source.js';
import type { ProberOptions } from './pickers/picker.js';
import { ALWAYS_ON, type RouterSwitches } from './switches.js';

export interface LoadNewsParts {
  readonly service: string;
  readonly runtime: Runtime;
  /** Uncompressed: what is asked here is some hundred bytes. */
  readonly transport: CallTransport;
  readonly wheel: TimerWheel;
  readonly events: EventSource<RouterEvents>;
  readonly switches: RouterSwitches;
}

export class LoadNews {
  /** Reports that did not parse or did not come. */
  broken = 0;
  readonly #parts: LoadNewsParts;
  readonly #probers: LoadProber[] = [];
  #sources: RunningSources | undefined;

  constructor(parts: LoadNewsParts) {
    this.#parts = parts;
  }

  /** Probes sent. */
  get probes(): number {
    return this.#probers.reduce((sum, { sent }) => sum + sent, 0);
  }

  /** One for all pickers that ask alike: the budget is the router's. */
  prober(options: ProberOptions): LoadProber {
    const { path, timeoutMs, maxPerSecond, parse } = options;
    const known = this.#probers.find(
      ({ asked }) =>
        asked.path === path && asked.timeoutMs === timeoutMs && asked.maxPerSecond === maxPerSecond && asked.parse === parse,
    );
    if (known !== undefined) return known;
    const { transport, wheel, runtime, switches } = this.#parts;
    const parts = {
      transport,
      wheel,
      clock: runtime.clock,
      isUsed: switches.probes ?? ALWAYS_ON,
      onReport: (candidate: Candidate, report: LoadReport, now: number) =>
        this.#onReport(candidate, report, now, 'probe', undefined),
      onBroken: (candidate: Candidate, error: unknown) => this.#onBroken(candidate, error),
    };
    const prober = new LoadProber(parts, options);
    this.#probers.push(prober);
    return prober;
  }

  start(sources: readonly LoadSource[], random: Random, table: EndpointTable): RunningSources {
    const { runtime, transport } = this.#parts;
    this.#sources = new RunningSources(sources, {
      runtime,
      random,
      transport,
      members: () => table.members(),
      onReport: (candidate, report, now, source, loadKey) => this.#onReport(candidate, report, now, source, loadKey),
      onBroken: (candidate, error) => this.#onBroken(candidate, error),
    });
    return this.#sources;
  }

  close(): void {
    this.#sources?.close();
    for (const prober of this.#probers) prober.close();
  }

  #onReport(candidate: Candidate, report: LoadReport, now: number, source: string, loadKey: string | undefined): void {
    candidate.onReport(report, now, source, loadKey);
    // Its place on the board went with it.
    if (candidate.isRemoved) return;
    this.#parts.runtime.load.setRemote(candidate.endpoint.id, report);
  }

  #onBroken(candidate: Candidate | undefined, error: unknown): void {
    const { runtime, service, events } = this.#parts;
    this.broken++;
    runtime.diagnostics.report(`load report of ${service}`, error);
    if (events.has('broken-report')) events.emit('broken-report', { endpoint: candidate?.endpoint.id ?? '', error });
  }
}
