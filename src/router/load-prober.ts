/**
 * Probes beside the calls: one small request each, in callbacks, within a budget, given up when it takes too long.
 *
 * What if an endpoint has no such route? It answers no probe with a report; after some such answers in a row, from whomever, probing
 * stops for a while, and calls are routed without.
 */
import type { Clock } from '../core/clock.js';
import { checkNumber, EvenkeelError, invalidArgument } from '../core/errors.js';
import type { FeatureSwitch } from '../core/feature-switch.js';
import type { HeaderList } from '../core/headers.js';
import type { LoadReport } from '../core/load-report.js';
import { readLoadHeaders } from '../core/orca/header.js';
import { type TimerWheel, WheelEntry } from '../core/timer-wheel.js';
import type { CallHandle, CallRequest, CallSink, CallTransport } from '../core/transport/call.js';
import type { Candidate } from './candidate.js';
import { parseLoadBody } from './load-body.js';
import type { Prober, ProberOptions } from './pickers/picker.js';
import { joinChunks } from './response.js';

export interface ProberParts {
  readonly transport: CallTransport;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Nobody is asked while it is off. */
  readonly isUsed: FeatureSwitch;
  onReport(candidate: Candidate, report: LoadReport, now: number): void;
  onBroken(candidate: Candidate, error: unknown): void;
}

/** So many probes in a row without a report: nobody tells. */
const SILENT_PROBES = 100;
/** Then nobody is asked for so long. */
const SILENCE_MS = 30_000;
const MAX_BODY_BYTES = 64 * 1024;
/** Probes under way at once; more than that are not answered in time anyhow. */
const MAX_UNDER_WAY = 1024;

export class LoadProber implements Prober {
  readonly parts: ProberParts;
  /** As it was made. */
  readonly asked: ProberOptions;
  readonly request: CallRequest;
  readonly timeoutMs: number;
  readonly parse: (body: string) => LoadReport;
  readonly #perMs: number;
  #tokens: number;
  #atMs = 0;
  #silent = 0;
  #silentUntilMs = 0;
  readonly #underWay = new Set<Probe>();
  #isClosed = false;
  /** Probes sent. */
  sent = 0;

  /** @throws {EvenkeelError} `invalid-argument` naming the option. */
  constructor(parts: ProberParts, options: ProberOptions) {
    const { path } = options;
    if (typeof path !== 'string' || !path.startsWith('/')) throw invalidArgument('path', path, 'a path that begins with /');
    this.parts = parts;
    this.asked = options;
    this.request = { path, method: 'GET' };
    this.parse = options.parse ?? parseLoadBody;
    this.timeoutMs = checkNumber('timeoutMs', options.timeoutMs, 1);
    this.#perMs = checkNumber('maxProbesPerSecond', options.maxPerSecond, 1) / 1000;
    this.#tokens = options.maxPerSecond;
  }

  isAllowed(now: number): boolean {
    if (this.#isClosed || !this.parts.isUsed.isOn || now < this.#silentUntilMs || this.#underWay.size >= MAX_UNDER_WAY)
      return false;
    if (now > this.#atMs) {
      this.#tokens = Math.min(this.#perMs * 1000, this.#tokens + (now - this.#atMs) * this.#perMs);
      this.#atMs = now;
    }
    return this.#tokens >= 1;
  }

  ask(candidate: Candidate, now: number, onOver: (isAnswered: boolean, now: number) => void): void {
    if (!this.isAllowed(now)) {
      onOver(false, now);
      return;
    }
    this.#tokens--;
    this.sent++;
    const probe = new Probe(this, candidate, onOver);
    this.#underWay.add(probe);
    probe.start(now);
  }

  /** Gives up what is under way, and asks no more. */
  close(): void {
    this.#isClosed = true;
    for (const probe of this.#underWay) probe.giveUp();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  onOver(probe: Probe, isAnswered: boolean, now: number): void {
    this.#underWay.delete(probe);
    if (isAnswered) this.#silent = 0;
    else if (++this.#silent >= SILENT_PROBES) {
      this.#silent = 0;
      this.#silentUntilMs = now + SILENCE_MS;
    }
  }
}

class Probe extends WheelEntry implements CallSink {
  readonly #prober: LoadProber;
  readonly #candidate: Candidate;
  readonly #onOver: (isAnswered: boolean, now: number) => void;
  #handle: CallHandle | undefined;
  #status = 0;
  #headers: HeaderList = [];
  #chunks: Uint8Array[] | undefined;
  #bytes = 0;

  constructor(prober: LoadProber, candidate: Candidate, onOver: (isAnswered: boolean, now: number) => void) {
    super();
    this.#prober = prober;
    this.#candidate = candidate;
    this.#onOver = onOver;
  }

  start(now: number): void {
    const { parts, request, timeoutMs } = this.#prober;
    this.#handle = parts.transport.start(this.#candidate.endpoint, request, this);
    parts.wheel.arm(this, now + timeoutMs, now);
  }

  onDeadline(): void {
    this.#handle?.cancel('deadline-exceeded');
  }

  giveUp(): void {
    this.#handle?.cancel('cancelled');
  }

  onResponse(status: number, headers: HeaderList): void {
    this.#status = status;
    this.#headers = headers;
  }

  onData(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    this.#chunks ??= [];
    this.#chunks.push(chunk);
    if (this.#bytes > MAX_BODY_BYTES) this.#handle?.cancel('cancelled');
  }

  onEnd(): void {
    const { parts } = this.#prober;
    let report: LoadReport | undefined;
    try {
      report = this.#report();
    } catch (error) {
      parts.onBroken(this.#candidate, error);
    }
    this.#end(report);
  }

  onError(error: EvenkeelError): void {
    if (!this.#prober.isClosed) this.#prober.parts.onBroken(this.#candidate, error);
    this.#end(undefined);
  }

  /** The header is the shorter way to say it. */
  #report(): LoadReport {
    if (this.#status !== 200) {
      const { path } = this.#prober.request;
      throw new EvenkeelError('unavailable', `${path} of ${this.#candidate.endpoint.id} answers ${this.#status}`);
    }
    const report = readLoadHeaders(this.#headers) ?? this.#prober.parse(new TextDecoder().decode(joinChunks(this.#chunks ?? [])));
    if (Object.keys(report).length === 0) throw new EvenkeelError('unavailable', `${this.#candidate.endpoint.id} tells nothing`);
    return report;
  }

  #end(report: LoadReport | undefined): void {
    const { parts } = this.#prober;
    parts.wheel.disarm(this);
    const now = parts.clock.now();
    if (report !== undefined) parts.onReport(this.#candidate, report, now);
    this.#prober.onOver(this, report !== undefined, now);
    this.#onOver(report !== undefined, now);
  }
}
