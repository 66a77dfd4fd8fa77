/**
 * The inside of a router: it owns the parts (endpoint table, picker, ejection, queue, budget, wheel, load sources) and gives each call
 * what it needs of them. The public face is router.ts.
 *
 * Length: one short method per part, and the parts are files of their own; a split would only move the wiring apart.
 */
import type { AmbientContext } from '../core/ambient-context.js';
import type { CallContext } from '../core/call-context.js';
import type { Clock } from '../core/clock.js';
import type { Diagnostics } from '../core/diagnostics.js';
import { checkNumber, EvenkeelError, invalidArgument, prebuiltError } from '../core/errors.js';
import type { EventSource } from '../core/events.js';
import type { FeatureSwitch } from '../core/feature-switch.js';
import type { HeaderList } from '../core/headers.js';
import { Lifecycle } from '../core/lifecycle.js';
import { modelKey } from '../core/load-board.js';
import type { Outcome } from '../core/load-counter.js';
import type { Random } from '../core/random.js';
import type { Resolution } from '../core/resolver.js';
import { RetryBudget } from '../core/retry-budget.js';
import type { Runtime } from '../core/runtime.js';
import { TimerWheel, type WheelEntry } from '../core/timer-wheel.js';
import type { CallExtension, CallRequest, CallTransport } from '../core/transport/call.js';
import type { Attempt } from './attempt.js';
import { EndpointTable, type Member, type TableListener } from './endpoint-table.js';
import type { RouterEvents } from './events.js';
import { startHealthChecks } from './health-checks.js';
import { HedgeAttempt } from './hedge-attempt.js';
import { Hedging } from './hedging.js';
import type { PickExplanation } from './last-picks.js';
import type { LatencyTax } from './latency-tax.js';
import { LoadNews } from './load-news.js';
import type { RunningSources } from './load-sources/running.js';
import { type ResolvedOptions, type RouterOptions, resolveOptions } from './options.js';
import { type EjectionListener, type EjectionOptions, OutlierEjection } from './outlier-ejection.js';
import { type Pick, PickedWork, type WorkRequest } from './picked-work.js';
import type { Picker, ProberOptions } from './pickers/picker.js';
import { probe } from './probe.js';
import { faultOfPlace, placeCall } from './request-faults.js';
import { prepareRequest } from './request-head.js';
import type { CallResponse } from './response.js';
import { RetryPolicy } from './retry-policy.js';
import type { RoutingListener } from './rib/rib-resolver.js';
import type { RoutingTable } from './rib/routing-table.js';
import { type CallEngine, RoutedCall } from './routed-call.js';
import type { RouterRequest } from './router-request.js';
import { RouterTelemetry } from './router-telemetry.js';
import { makeRoutes } from './routes/make-routes.js';
import type { Routes } from './routes/routes.js';
import { type ASKING, type Selecting, Selection } from './selection.js';
import { checkSlowStart } from './slow-start.js';
import { ALWAYS_ON, type RouterSwitches } from './switches.js';
import { WaitingCalls } from './waiting-calls.js';

const WARM_UP_TIMEOUT_MS = 5000;

/** Nothing was sent. */
const TURNED_AWAY = { retryable: 'yes', rejected: true, attempts: 0 } as const;

export class RouterEngine implements CallEngine {
  readonly options: ResolvedOptions;
  readonly transport: CallTransport;
  readonly runtime: Runtime;
  readonly table: EndpointTable;
  readonly routes: Routes;
  readonly budget: RetryBudget;
  readonly events: EventSource<RouterEvents>;
  readonly lifecycle: Lifecycle;
  /** Work of others at endpoints that this router chose: a drain waits for it, and nobody can end it but they. */
  readonly picks: Lifecycle;
  readonly telemetry: RouterTelemetry;
  readonly waiting: WaitingCalls;
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxResponseBytes: number;
  readonly maxAttempts: number;
  readonly #clock: Clock;
  readonly #ambient: AmbientContext;
  readonly #diagnostics: Diagnostics;
  readonly #random: Random;
  readonly #wheel: TimerWheel;
  readonly #policy: RetryPolicy;
  readonly #selection: Selection;
  readonly #ejection: OutlierEjection | undefined;
  readonly hedging: Hedging | undefined;
  readonly tax: LatencyTax | undefined;
  readonly #extensions: readonly CallExtension[];
  readonly #news: LoadNews;
  readonly #sources: RunningSources;
  readonly #probing: FeatureSwitch;
  readonly #resolution: Resolution;
  readonly #stopHealth = new AbortController();
  readonly #noEndpoints: EvenkeelError;
  readonly #noRoom: EvenkeelError;
  readonly #queueFull: EvenkeelError;
  #onClosed: () => void = () => {};
  /** Ends a drain. */
  readonly #closed = new Promise<void>((resolve) => {
    this.#onClosed = resolve;
  });
  /** Calls for which endpoints are being asked. */
  #asking = 0;
  /** The resolver has answered at least once. */
  #isResolved = false;

  constructor(options: RouterOptions, runtime: Runtime, events: EventSource<RouterEvents>) {
    this.options = resolveOptions(options);
    const { service } = this.options;
    this.runtime = runtime;
    const { compression, limiter, tax } = options;
    const transport = limiter === undefined ? options.transport : limiter.guard(options.transport);
    this.transport = compression ? compression.wrap(transport, tax && ((ms) => tax.noteCompression(ms))) : transport;
    this.events = events;
    this.lifecycle = new Lifecycle(`router ${service}`);
    this.picks = new Lifecycle(`picks of ${service}`);
    this.#clock = runtime.clock;
    this.#ambient = runtime.ambient;
    this.#diagnostics = runtime.diagnostics;
    this.#random = runtime.random.fork(`router ${service}`);
    this.#wheel = new TimerWheel(runtime.clock, (error) => this.#diagnostics.report('router:deadline', error));
    this.timeoutMs = this.options.timeoutMs;
    this.attemptTimeoutMs = this.options.attemptTimeoutMs;
    this.firstByteTimeoutMs = this.options.firstByteTimeoutMs;
    this.idleTimeoutMs = this.options.idleTimeoutMs;
    this.maxResponseBytes = this.options.maxResponseBytes;
    this.#extensions = options.extensions ?? [];
    this.#probing = options.switches?.probes ?? ALWAYS_ON;
    const retry = options.retry === false ? { maxAttempts: 1 } : (options.retry ?? {});
    this.#policy = new RetryPolicy(retry, this.#random.fork('backoff'));
    this.maxAttempts = this.#policy.maxAttempts;
    this.budget = new RetryBudget(runtime.clock, retry.budget);
    const full = `every endpoint of ${service} is at its limit`;
    this.#noEndpoints = prebuiltError('unavailable', `no endpoint of ${service} is known`, TURNED_AWAY);
    this.#noRoom = prebuiltError('resource-exhausted', full, TURNED_AWAY);
    this.#queueFull = prebuiltError('resource-exhausted', `${full} and the queue is full`, TURNED_AWAY);
    this.waiting = new WaitingCalls(this.options.maxQueued);
    this.table = this.#makeTable(options);
    this.#news = new LoadNews({
      service,
      runtime,
      transport: options.transport,
      wheel: this.#wheel,
      events,
      switches: options.switches ?? {},
    });
    const environment = {
      prober: (probes: ProberOptions) => this.#news.prober(probes),
      affinity: options.switches?.affinity,
    };
    this.routes = makeRoutes(options, this.options.picker, environment, this.table, this.#clock, this.#random);
    this.#selection = new Selection(
      this.table,
      this.routes,
      this.#random,
      this.options.maxInFlightPerEndpoint,
      events,
      runtime.diagnostics,
    );
    this.#ejection = options.ejection === false ? undefined : this.#makeEjection(options.ejection ?? {}, options.switches);
    this.tax = options.tax;
    this.tax?.attach(runtime.clock, runtime.host);
    if (options.hedge) this.hedging = new Hedging(options.hedge, runtime.clock, this.budget, this.table, options.switches ?? {});
    this.telemetry = new RouterTelemetry(this, runtime);
    try {
      if (options.health !== undefined) this.#startHealth(options.health);
      this.#sources = this.#news.start(this.options.loadSources, this.#random.fork('load source'), this.table);
      this.#resolution = this.#startResolver(options);
    } catch (error) {
      // Nothing is left running by a router that was not made.
      this.#stopHealth.abort();
      this.telemetry.close();
      throw error;
    }
  }

  /** Milliseconds since the last proof that the endpoint list holds. */
  get tableAgeMs(): number {
    return this.#resolution.ageMs;
  }

  call(
    request: RouterRequest,
    context: CallContext | undefined,
    resolve: (response: CallResponse) => void,
    reject: (error: EvenkeelError) => void,
  ): void {
    if (!this.lifecycle.isOpen) {
      reject(this.lifecycle.refusal);
      return;
    }
    if (typeof request !== 'object' || request === null) {
      reject(invalidArgument('request', request, 'an object with a path'));
      return;
    }
    const now = this.#clock.now();
    const call = new RoutedCall(this, request, context ?? this.#ambient.get(), now, resolve, reject);
    this.lifecycle.enter();
    this.telemetry.onCallStart(call);
    call.start();
  }

  now(): number {
    return this.#clock.now();
  }

  coarse(): number {
    return this.#clock.coarse();
  }

  arm(entry: WheelEntry, deadline: number, now: number): void {
    this.#wheel.arm(entry, deadline, now);
  }

  armBy(entry: WheelEntry, deadline: number, now: number): void {
    this.#wheel.armBy(entry, deadline, now);
  }

  disarm(entry: WheelEntry): void {
    this.#wheel.disarm(entry);
  }

  get picker(): Picker {
    return this.routes.picker;
  }

  lastPicks(): PickExplanation[] {
    return this.#selection.lastPicks();
  }

  pick(call: Selecting, avoid: Member | undefined): Member | undefined {
    return this.#selection.pick(call, avoid);
  }

  /** For work that is not a call of ours. */
  pickFor({ model, weight = 1, shard, affinity }: WorkRequest): Pick {
    if (!this.lifecycle.isOpen) throw this.lifecycle.refusal;
    checkNumber('weight', weight, Number.MIN_VALUE);
    const fault = faultOfPlace(model, shard, affinity);
    if (fault !== undefined) throw fault;
    const now = this.#clock.now();
    const loadKey = model === undefined ? undefined : modelKey(model);
    const request = { now, weight, loadKey, attempts: 0, span: undefined, shard, shardRole: 'any', affinity } as const;
    const member = this.#selection.pick(request, undefined);
    if (member === undefined) throw this.table.size === 0 ? this.#noEndpoints : this.#noRoom;
    this.picks.enter();
    return new PickedWork(member, weight, loadKey, this.#clock, (outcome, endedAt) => {
      this.picks.leave();
      this.#onWorkEnd(member, outcome, outcome === 'error', false, endedAt);
    });
  }

  pickOrAsk(call: RoutedCall, avoid: Member | undefined): Member | undefined | typeof ASKING {
    if (this.table.candidates.length === 0 || this.#asking >= this.options.maxQueued) return this.pick(call, avoid);
    const asksFirst = this.#sources.asksFirst && this.#probing.isOn;
    return this.#selection.pickOrAsk(call, avoid, asksFirst ? this.#sources : undefined);
  }

  onAsk(): void {
    this.#asking++;
  }

  onAnswer(): void {
    this.#asking--;
  }

  place(call: RoutedCall): EvenkeelError | undefined {
    return placeCall(call, this.options);
  }

  enqueue(call: RoutedCall): void {
    if (this.#isResolved && this.table.size === 0) call.fail(this.#noEndpoints);
    else if (this.waiting.add(call)) this.#wheel.arm(call, call.deadline, call.now);
    else call.fail(this.#queueFull);
  }

  dequeue(call: RoutedCall): void {
    this.waiting.remove(call);
  }

  prepare(request: RouterRequest, call: RoutedCall, now: number): CallRequest {
    const { tax } = this;
    const own = this.#sources.requestHeaders;
    const more = tax?.isOn ? tax.requestHeaders(call.context, own) : own;
    const { shardMapVersion } = this.routes;
    return prepareRequest(request, call, now, more, this.#extensions, this.#diagnostics, shardMapVersion);
  }

  onHeaders(member: Member, headers: HeaderList, now: number, loadKey: string | undefined): void {
    this.#sources.onHeaders(member, headers, now, loadKey);
    for (const extension of this.#extensions) this.#read(extension, headers, member);
  }

  onSend({ attempts, now }: RoutedCall): void {
    this.telemetry.attempts++;
    // What never went out earns no retries: an outage would be paid for by calls that were refused.
    if (attempts !== 1) return;
    this.budget.deposit(now);
    this.hedging?.deposit(now);
  }

  onHedge(call: RoutedCall, member: Member, delayMs: number): void {
    this.telemetry.hedges++;
    if (this.events.has('hedge')) this.events.emit('hedge', { endpoint: member.endpoint.id, attempt: call.attempts, delayMs });
  }

  onHedgeRefused(): void {
    this.telemetry.hedgesRefused++;
  }

  onHedgeWon(isHedge: boolean, wastedMs: number): void {
    if (isHedge) this.telemetry.hedgesWon++;
    this.telemetry.wastedMs += wastedMs;
  }

  hasOthers(member: Member): boolean {
    const { candidates } = this.table;
    return candidates.length > 1 || (candidates.length === 1 && candidates[0] !== member);
  }

  hasRoom(member: Member): boolean {
    return this.#selection.hasRoom(member);
  }

  get staleReports(): number {
    return this.#selection.staleReports;
  }

  get news(): LoadNews {
    return this.#news;
  }

  get isClosed(): boolean {
    return this.lifecycle.isClosed;
  }

  onAttemptEnd(attempt: Attempt, member: Member, outcome: Outcome, isUnsent: boolean, now: number): void {
    // An endpoint that nobody answers at may have moved.
    if (outcome === 'error' && attempt.status === 0) this.#resolution.refresh();
    this.#onWorkEnd(member, outcome, attempt.isServerFault(outcome), isUnsent, now);
  }

  #onWorkEnd(member: Member, outcome: Outcome, hasFailed: boolean, isUnsent: boolean, now: number): void {
    if (outcome !== 'ignored') this.#ejection?.onEnd(member, hasFailed, isUnsent, now);
    if (member.isRemoved) this.#forgetIfIdle(member);
    if (this.waiting.size > 0) this.#sendWaiting();
  }

  backoffMs(next: number, isUnsent: boolean): number {
    return this.#policy.backoffMs(next, isUnsent);
  }

  mayRetry(now: number): boolean {
    if (this.lifecycle.isClosed) return false;
    if (this.budget.withdraw(now)) return true;
    this.telemetry.retriesRefused++;
    return false;
  }

  onRetry(call: RoutedCall, member: Member, cause: string): void {
    this.telemetry.retries++;
    if (this.events.has('retry')) this.events.emit('retry', { endpoint: member.endpoint.id, attempt: call.attempts, cause });
  }

  onWrongShard(mapVersion: number): void {
    this.telemetry.wrongShards++;
    if (mapVersion > this.routes.shardMapVersion) this.#resolution.refresh();
  }

  onCallEnd(call: RoutedCall, error: EvenkeelError | undefined, now: number): void {
    this.telemetry.onCallEnd(call, error, now);
    this.lifecycle.leave();
  }

  async drain(): Promise<void> {
    await this.lifecycle.drain();
    await Promise.race([this.picks.idle(), this.#closed]);
    await this.close();
  }

  async close(): Promise<void> {
    const isFirst = this.lifecycle.close();
    if (isFirst) {
      const error = new EvenkeelError('unavailable', `router ${this.options.service} was closed`, { retryable: 'unknown' });
      const unsent = new EvenkeelError('unavailable', error.message, TURNED_AWAY);
      for (const entry of this.#wheel.entries()) {
        const call = entry instanceof HedgeAttempt ? entry.owner : entry;
        if (call instanceof RoutedCall) call.cancel(call.attempts === 0 ? unsent : error);
      }
      this.#resolution.close();
      this.#stopHealth.abort();
      this.#news.close();
      this.#ejection?.close();
      this.table.close();
      this.telemetry.close();
      this.#onClosed();
    }
    await this.lifecycle.idle();
  }

  /** Connections belong to the address: another listed endpoint may be using them. */
  #forgetIfIdle({ ownInFlight, endpoint }: Member): void {
    if (ownInFlight === 0 && !this.table.hasAddress(endpoint.address)) this.transport.forget(endpoint);
  }

  #sendWaiting(): void {
    if (this.lifecycle.isClosed) return;
    if (this.#isResolved && this.table.size === 0) for (const call of this.waiting.all()) call.cancel(this.#noEndpoints);
    else this.waiting.send(this.#clock.now());
  }

  #startResolver({ resolver }: RouterOptions): Resolution {
    const listener: RoutingListener = {
      onEndpoints: (endpoints, { source }) => {
        if (this.lifecycle.isClosed) return;
        this.#isResolved = true;
        this.table.update(endpoints, this.#clock.now());
        this.events.emit('endpoints', { endpoints: endpoints.length, source });
        this.#sendWaiting();
      },
      onRouting: (table: RoutingTable | undefined) => {
        this.routes.setRouting(table);
        this.#sendWaiting();
      },
      onError: (error: EvenkeelError) => this.#diagnostics.report(`resolver ${resolver.name} of ${this.options.service}`, error),
    };
    return resolver.start(this.runtime, listener);
  }

  #makeTable({ weightOf, slowStart }: RouterOptions): EndpointTable {
    const slow = slowStart === undefined || slowStart === false ? undefined : checkSlowStart(slowStart);
    const warmUp = slow?.warmUpPath;
    const options = {
      ...(weightOf === undefined ? undefined : { weightOf }),
      ...(slow === undefined ? undefined : { slowStart: slow }),
      ...(warmUp === undefined ? undefined : { onNew: (member: Member) => this.#connect(member, warmUp) }),
    };
    const listener: TableListener = {
      onRemove: (member) => {
        this.#ejection?.forget(member);
        this.#forgetIfIdle(member);
      },
      onPanic: (open, known) => {
        this.telemetry.panics++;
        this.events.emit('panic', { open, known });
      },
    };
    return new EndpointTable(this.runtime.load, this.options.panicThreshold, listener, options);
  }

  /** One small request, so that a connection is there before the first call. What becomes of it is nobody's matter. */
  #connect({ endpoint }: Member, path: string): void {
    probe(this.transport, this.#clock, endpoint, path, WARM_UP_TIMEOUT_MS, this.#stopHealth.signal).catch(() => {});
  }

  #makeEjection(options: EjectionOptions, switches: RouterSwitches | undefined): OutlierEjection {
    const listener: EjectionListener = {
      onEject: (member, reason, forMs) => {
        this.telemetry.ejections++;
        this.events.emit('eject', { endpoint: member.endpoint.id, reason, forMs });
      },
      onReturn: (member) => {
        this.events.emit('return', { endpoint: member.endpoint.id });
        this.#sendWaiting();
      },
    };
    return new OutlierEjection(this.#clock, this.#random.fork('ejection'), this.table, options, listener, switches?.ejection);
  }

  #startHealth(options: NonNullable<RouterOptions['health']>): void {
    startHealthChecks(options, {
      runtime: this.runtime,
      random: this.#random.fork('health'),
      transport: this.transport,
      table: this.table,
      signal: this.#stopHealth.signal,
      onHealth: (member, isHealthy, reason) => {
        this.events.emit('health', { endpoint: member.endpoint.id, isHealthy, reason });
        if (isHealthy) this.#sendWaiting();
      },
    });
  }

  #read(extension: CallExtension, headers: HeaderList, member: Member): void {
    try {
      extension.response?.(headers, member.endpoint);
    } catch (error) {
      this.#diagnostics.report('router:extension', error);
    }
  }
}
