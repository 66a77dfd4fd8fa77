/**
 * What calls cost beside the work they are made for: where their time goes, how much of the servers' work is thrown away, and what of
 * this process's CPU goes into it. Measured while a router has one and it is on; otherwise a call pays one look at a field.
 *
 * What can be seen of CPU from inside Node: the CPU time of the whole process (all threads), and how long synchronous steps take, which is
 * their CPU time unless the operating system interrupts them. So one attempt of `sampleEvery` has its steps measured, the mean is taken for
 * all, and what is left of the process's CPU is called `rest`: the application, the runtime, garbage collection, reads from sockets.
 * @see Seemakhupt et al., "A Cloud-Scale Characterization of Remote Procedure Calls", SOSP'23
 */
import type { CallContext } from '../core/call-context.js';
import type { Clock } from '../core/clock.js';
import { checkInteger, type ErrorCode, type EvenkeelError } from '../core/errors.js';
import { HEADERS, headerValue } from '../core/headers.js';
import type { Host } from '../core/host.js';
import type { CallBody, CallHandle, CallRequest, CallTransport } from '../core/transport/call.js';
import type { Attempt } from './attempt.js';
import type { Member } from './endpoint-table.js';
import { readServerTiming } from './server-timing.js';
import { PARTS, splitTime } from './tax-parts.js';
import { type OutcomeTax, type TaxReport, taxTable, type WastedWork } from './tax-report.js';
import { type TaxRowBuilder, TaxRows, type TaxSample } from './tax-rows.js';
import { type AttemptRecorder, TimedAttempt } from './timed-attempt.js';

export interface LatencyTaxOptions {
  /** Methods with a row of their own; later ones share `other`. Default 64; 1 to 1000. */
  maxMethods?: number;
  /** One attempt of so many has the CPU time of its steps measured. Default 64; 1 and up. */
  sampleEvery?: number;
  /** Names the method of a request. Default: its path without the query; name it where paths hold ids. */
  methodOf?: (request: CallRequest) => string;
}

export const DEFAULT_TAX_METHODS = 64;
export const DEFAULT_TAX_SAMPLE = 64;
/** How deep calls are taken to go; beyond it the count is wrong, and somebody's are going round in a circle. */
const MAX_DEPTH = 64;
const MAX_DESCENDANTS = 1e9;
const MAX_LOCALITIES = 64;
const PRESSURE_BANDS = 8;

/**
 * Collects the latency tax of the routers that are given it. `isOn` may be turned at any time.
 * @example
 * ```ts
 * import { staticResolver } from 'evenkeel/core';
 * import { createHttpTransport } from 'evenkeel/http';
 * import { createLatencyTax, createRouter } from 'evenkeel/router';
 * import * as undici from 'undici';
 *
 * const tax = createLatencyTax();
 * const resolver = staticResolver(['http://10.0.0.1:8000']);
 * const router = createRouter({ service: 's', resolver, transport: createHttpTransport({ undici }), tax });
 * await router.call({ path: '/v1/models' });
 * console.log(tax.table());
 * ```
 */
export function createLatencyTax(options: LatencyTaxOptions = {}): LatencyTax {
  return new LatencyTax(options);
}

export class LatencyTax {
  isOn = true;
  readonly #sampleEvery: number;
  readonly #methodOf: (request: CallRequest) => string;
  readonly #methods: TaxRows;
  readonly #localities = new TaxRows(MAX_LOCALITIES);
  readonly #pressures = new TaxRows(PRESSURE_BANDS);
  readonly #outcomes = new Map<'ok' | ErrorCode, OutcomeTax>();
  readonly #wasted: Record<'cancelled' | 'hedged' | 'late', WastedWork>;
  readonly #sample: TaxSample = {
    totalMs: 0,
    parts: new Float64Array(PARTS.length),
    isTold: false,
    requestBytes: 0,
    responseBytes: 0,
    descendants: undefined,
    depth: 1,
  };
  readonly #depths: string[][] = [];
  #clock: Clock | undefined;
  #host: Host | undefined;
  #sinceMs = 0;
  #sinceCpuMs = 0;
  #attempts = 0;
  #sampled = 0;
  #networkMs = 0;
  #rpcLibraryMs = 0;
  #serializeMs = 0;
  #compressionMs = 0;

  constructor(options: LatencyTaxOptions) {
    this.#methods = new TaxRows(checkInteger('tax.maxMethods', options.maxMethods ?? DEFAULT_TAX_METHODS, 1, 1000));
    this.#sampleEvery = checkInteger('tax.sampleEvery', options.sampleEvery ?? DEFAULT_TAX_SAMPLE, 1);
    this.#methodOf = options.methodOf ?? pathOf;
    const none = (): WastedWork => ({ attempts: 0, serverMs: 0 });
    this.#wasted = { cancelled: none(), hedged: none(), late: none() };
  }

  /** What to look at first comes first. Plain JSON. */
  report(): TaxReport {
    const elapsedMs = (this.#clock?.now() ?? 0) - this.#sinceMs;
    const cpuMs = (this.#host?.cpuTimeMs() ?? 0) - this.#sinceCpuMs;
    const perAttempt = (ms: number) => (this.#sampled === 0 ? 0 : (1000 * ms) / this.#sampled);
    const attempts = Math.max(1, this.#attempts);
    const processUs = (1000 * cpuMs) / attempts;
    const rpcLibrary = perAttempt(this.#rpcLibraryMs);
    const serialization = perAttempt(this.#serializeMs);
    const network = perAttempt(this.#networkMs);
    const compression = (1000 * this.#compressionMs) / attempts;
    return {
      elapsedMs,
      attempts: this.#attempts,
      eventLoopDelayMs: this.#host?.eventLoopDelayMs() ?? 0,
      wireIsSplitEvenly: true,
      cpuUs: {
        process: processUs,
        compression,
        serialization,
        network,
        rpcLibrary,
        rest: Math.max(0, processUs - compression - serialization - network - rpcLibrary),
        sampled: this.#sampled,
      },
      wasted: structuredClone(this.#wasted),
      outcomes: Object.fromEntries([...this.#outcomes].map(([code, outcome]) => [code, { ...outcome }])),
      all: this.#methods.all(),
      byMethod: this.#methods.sorted(),
      byLocality: this.#localities.sorted(),
      byPressure: this.#pressures.sorted(),
    };
  }

  /** The report as text for people. */
  table(): string {
    return taxTable(this.report());
  }

  /** @internal A router uses it: its clock and host are read from here on. */
  attach(clock: Clock, host: Host): void {
    if (this.#clock !== undefined) return;
    this.#clock = clock;
    this.#host = host;
    this.#sinceMs = clock.now();
    this.#sinceCpuMs = host.cpuTimeMs();
    // The first reading starts the meter.
    host.eventLoopDelayMs();
  }

  /** @internal Headers of an attempt: those of `more`, and the question to the server. */
  requestHeaders(context: CallContext | undefined, more: readonly string[]): readonly string[] {
    const depth = depthOf(context);
    if (more.length > 0) return [...more, HEADERS.depth.text, String(depth)];
    this.#depths[depth] ??= [HEADERS.depth.text, String(depth)];
    return this.#depths[depth];
  }

  /** @internal Sends an attempt, and looks on. */
  start(transport: CallTransport, attempt: Attempt, member: Member, request: CallRequest): CallHandle {
    const isSampled = this.#attempts % this.#sampleEvery === 0;
    this.#attempts++;
    return new TimedAttempt(this.#recorder, attempt, member, request, depthOf(attempt.context), isSampled).start(transport);
  }

  /** @internal Time spent on compression or decompression. */
  noteCompression(ms: number): void {
    if (this.isOn) this.#compressionMs += ms;
  }

  readonly #recorder: AttemptRecorder = {
    now: () => (this.#clock as Clock).now(),
    record: (timed, error) => this.#record(timed, error),
    recordEnd: (error, ms) => this.#recordEnd(error, ms),
    startsMs: 0,
    isEnding: false,
  };

  #record(timed: TimedAttempt, error: EvenkeelError | undefined): void {
    const { attempt, member, request } = timed;
    const server = readServerTiming(timed.headers);
    const sample = this.#sample;
    splitTime(timed, server, sample.parts);
    sample.totalMs = timed.endedAt - timed.queuedAt;
    sample.isTold = server !== undefined;
    sample.requestBytes = bytesOf(request.body);
    sample.responseBytes = timed.responseBytes;
    sample.depth = timed.depth;
    sample.descendants = readCount(headerValue(timed.headers, HEADERS.descendants));
    const trail = attempt.context?.trail;
    if (trail !== undefined) trail.descendants += 1 + (sample.descendants ?? 0);
    if (timed.isSampled) {
      this.#sampled++;
      this.#networkMs += timed.networkMs;
      this.#rpcLibraryMs += timed.rpcLibraryMs;
      this.#serializeMs += timed.startedAt - timed.dispatchedAt;
    }
    const serverMs = server === undefined ? timed.endedAt - timed.startedAt : server.queue + server.application + server.send;
    this.#noteOutcome(timed, error, serverMs);
    // Half an answer says little of where the time of a whole one goes.
    if (error !== undefined) return;
    this.#row(this.#methods, () => this.#methodOf(request)).add(sample);
    this.#localities.of(member.endpoint.locality ?? 'unknown').add(sample);
    this.#pressures.of(pressureBand(member)).add(sample);
  }

  #recordEnd(error: EvenkeelError | undefined, ms: number): void {
    this.#rpcLibraryMs += ms;
    this.#outcomeOf(error).cpuUs += 1000 * ms * this.#sampleEvery;
  }

  #outcomeOf(error: EvenkeelError | undefined): OutcomeTax {
    const code = error === undefined ? 'ok' : error.code;
    let outcome = this.#outcomes.get(code);
    if (outcome === undefined) {
      outcome = { attempts: 0, serverMs: 0, cpuUs: 0 };
      this.#outcomes.set(code, outcome);
    }
    return outcome;
  }

  #row(rows: TaxRows, name: () => string): TaxRowBuilder {
    try {
      return rows.of(String(name()));
    } catch {
      // A naming function of the user's that throws.
      return rows.of('unnamed');
    }
  }

  #noteOutcome(
    { attempt, isSampled, rpcLibraryMs, networkMs }: TimedAttempt,
    error: EvenkeelError | undefined,
    serverMs: number,
  ): void {
    const code = error?.code;
    const outcome = this.#outcomeOf(error);
    outcome.attempts++;
    outcome.serverMs += serverMs;
    if (isSampled) outcome.cpuUs += 1000 * (rpcLibraryMs + networkMs) * this.#sampleEvery;
    const kind =
      code === 'cancelled' ? (attempt.isOutrun ? 'hedged' : 'cancelled') : code === 'deadline-exceeded' ? 'late' : undefined;
    if (kind === undefined) return;
    this.#wasted[kind].attempts++;
    this.#wasted[kind].serverMs += serverMs;
  }
}

function depthOf(context: CallContext | undefined): number {
  return Math.min(MAX_DEPTH, (context?.trail?.depth ?? 0) + 1);
}

function pathOf({ path }: CallRequest): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

/** A stream's length is not known. */
function bytesOf(body: CallBody | undefined): number {
  if (typeof body === 'string') return Buffer.byteLength(body);
  return body instanceof Uint8Array ? body.length : 0;
}

function readCount(value: string | undefined): number | undefined {
  if (value === undefined || !/^\d{1,10}$/.test(value)) return undefined;
  return Math.min(MAX_DESCENDANTS, Number(value));
}

/** How busy the server says that it is. */
function pressureBand({ report }: Member): string {
  const use = report?.applicationUtilization ?? report?.cpuUtilization;
  if (use === undefined) return 'untold';
  if (use < 0.5) return 'below 0.5';
  if (use < 0.7) return '0.5 to 0.7';
  return use < 0.9 ? '0.7 to 0.9' : '0.9 and above';
}
