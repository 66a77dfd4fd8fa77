/**
 * Round trips between regions: who measures, how it is smoothed, when it is forgotten.
 *
 * Who measures? Of all processes of a region one for each other region, by election: a pair is measured once, however many would like
 * to know. It writes `rtt/<from>/<to>`, `{ v: 1, from, to, rttMs }`, as a document of its term, under a lease: what nobody measures any
 * more is unknown again, not old.
 */
import { keySegment } from '../../core/announcement.js';
import { type Campaign, campaign } from '../../core/campaign.js';
import type { Timer } from '../../core/clock.js';
import type { Endpoint } from '../../core/endpoint.js';
import { checkNumber, EvenkeelError, invalidArgument, isEvenkeelError } from '../../core/errors.js';
import { putFenced } from '../../core/fenced-document.js';
import { within } from '../../core/internal/within.js';
import { createRuntime, type Runtime } from '../../core/runtime.js';
import type { StateTransport } from '../../core/transport/state.js';
import { asFields, asNumber, asString, decoding, parseDocument } from './document-fields.js';
import { MAX_LOCALITY_LENGTH, type Rtt, regionOf } from './locality.js';
import { RTT_PREFIX } from './rib-keys.js';

export interface MeasureRttOptions {
  state: StateTransport;
  /** Where this process stands. */
  locality: string;
  /** Whom to probe: servers of other regions, of any service. Asked before each round; at most 64 regions are looked at. */
  endpoints: () => Iterable<Endpoint>;
  /** One probe: resolves with the milliseconds of a round trip, without the time to connect. Rejections and nonsense are left out. */
  measure: (to: Endpoint, signal: AbortSignal) => Promise<number>;
  /** Between two probes of a pair. Default 10,000 ms; 100 to 3,600,000. */
  intervalMs?: number;
  /** Default 5,000 ms; 10 to 60,000. */
  timeoutMs?: number;
  /** Default: one of its own. */
  runtime?: Runtime;
}

export const DEFAULT_RTT_INTERVAL_MS = 10_000;
export const DEFAULT_RTT_TIMEOUT_MS = 5000;
const MAX_REGIONS = 64;
/** Of the new measurement in the mean. */
const SMOOTHING = 0.2;
/** Elections may take their time. */
const LEASE_INTERVALS = 3;
/** A pair is forgotten after as many intervals without a measurement. */
const EXPIRY_INTERVALS = 6;
/** What is written is rounded to this many digits, so that noise is not news. */
const RTT_DIGITS = 2;
const MAX_RTT_MS = 60_000;

/**
 * Takes part in measuring the round trips from this region to all others, until it is closed. Costs each process three small reads
 * a pair every 30 s, and the elected one a probe and a write every 10 s.
 * @throws {EvenkeelError} `invalid-argument` for a locality that names no region, or a time out of range.
 */
export function measureRtt(options: MeasureRttOptions): AsyncDisposable & { close(): Promise<void> } {
  const { state, endpoints, measure } = options;
  if (typeof state?.put !== 'function') throw invalidArgument('state', state, 'a StateTransport');
  if (typeof endpoints !== 'function') throw invalidArgument('endpoints', endpoints, 'a function');
  if (typeof measure !== 'function') throw invalidArgument('measure', measure, 'a function');
  const from = regionOf(options.locality);
  if (from === '' || from.length > MAX_LOCALITY_LENGTH)
    throw invalidArgument('locality', options.locality, 'a label with a region');
  checkNumber('intervalMs', options.intervalMs ?? DEFAULT_RTT_INTERVAL_MS, 100, 3_600_000);
  checkNumber('timeoutMs', options.timeoutMs ?? DEFAULT_RTT_TIMEOUT_MS, 10, 60_000);
  return new RttMeasurers(from, options, options.runtime ?? createRuntime());
}

/** @throws {EvenkeelError} `invalid-argument` for anything but a measurement. */
export function decodeRtt(bytes: Uint8Array): Rtt {
  const what = 'round trip';
  return decoding(what, () => {
    // A document of a term: the measurement is its value.
    const { from, to, rttMs } = asFields(what, parseDocument(what, bytes).value);
    return {
      from: asString('from', from, MAX_LOCALITY_LENGTH),
      to: asString('to', to, MAX_LOCALITY_LENGTH),
      rttMs: asNumber('rttMs', rttMs, 0, MAX_RTT_MS),
    };
  });
}

/** One pair: an election, and the mean while it is won. */
interface Measurer {
  readonly election: Campaign;
  mean: number | undefined;
  token: number;
  isBusy: boolean;
}

class RttMeasurers {
  readonly #from: string;
  readonly #options: MeasureRttOptions;
  readonly #runtime: Runtime;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #pairs = new Map<string, Measurer>();
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(from: string, options: MeasureRttOptions, runtime: Runtime) {
    this.#from = from;
    this.#options = options;
    this.#runtime = runtime;
    this.#intervalMs = options.intervalMs ?? DEFAULT_RTT_INTERVAL_MS;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_RTT_TIMEOUT_MS;
    this.#arm(0);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await Promise.all([...this.#pairs.values()].map(({ election }) => election.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #arm(ms: number): void {
    if (this.#isClosed) return;
    this.#timer = this.#runtime.clock.timer(ms, () => {
      this.#round();
      this.#arm(this.#intervalMs * (0.9 + 0.2 * this.#runtime.random.next()));
    });
  }

  #round(): void {
    const byRegion = new Map<string, Endpoint[]>();
    for (const endpoint of this.#options.endpoints()) {
      const to = regionOf(endpoint.locality);
      if (to === '' || to === this.#from || (byRegion.size >= MAX_REGIONS && !byRegion.has(to))) continue;
      byRegion.set(to, [...(byRegion.get(to) ?? []), endpoint]);
    }
    for (const [to, measurer] of this.#pairs) {
      if (byRegion.has(to)) continue;
      this.#pairs.delete(to);
      void measurer.election.close();
    }
    for (const [to, targets] of byRegion) {
      const measurer = this.#pairs.get(to) ?? this.#contend(to);
      const target = targets[this.#runtime.random.int(targets.length)] as Endpoint;
      void this.#measure(to, measurer, target).catch((error) =>
        this.#runtime.diagnostics.report(`rtt ${this.#from} ${to}`, error),
      );
    }
  }

  #contend(to: string): Measurer {
    const election = campaign({
      state: this.#options.state,
      key: `leaders/${RTT_PREFIX}${keySegment(this.#from)}/${keySegment(to)}`,
      leaseMs: Math.max(500, this.#intervalMs * LEASE_INTERVALS),
      runtime: this.#runtime,
    });
    const measurer: Measurer = { election, mean: undefined, token: 0, isBusy: false };
    this.#pairs.set(to, measurer);
    election.events.on('elected', ({ token }) => {
      measurer.token = token;
      measurer.mean = undefined;
    });
    return measurer;
  }

  async #measure(to: string, measurer: Measurer, target: Endpoint): Promise<void> {
    if (measurer.election.term === undefined || measurer.isBusy) return;
    measurer.isBusy = true;
    const { token } = measurer;
    try {
      const rttMs = await this.#probe(target);
      if (measurer.election.term?.token !== token) return;
      const mean = measurer.mean === undefined ? rttMs : measurer.mean + SMOOTHING * (rttMs - measurer.mean);
      measurer.mean = mean;
      const key = `${RTT_PREFIX}${keySegment(this.#from)}/${keySegment(to)}`;
      const value = { from: this.#from, to, rttMs: Number(mean.toPrecision(RTT_DIGITS)) };
      await putFenced(this.#options.state, key, value, token, { leaseMs: Math.max(500, this.#intervalMs * EXPIRY_INTERVALS) });
    } catch (error) {
      // Another measures by now.
      if (!isEvenkeelError(error, 'aborted')) throw error;
    } finally {
      measurer.isBusy = false;
    }
  }

  async #probe(target: Endpoint): Promise<number> {
    const rttMs = await within(this.#runtime.clock, this.#timeoutMs, (signal) => this.#options.measure(target, signal));
    if (typeof rttMs === 'number' && rttMs >= 0 && rttMs <= MAX_RTT_MS) return rttMs;
    throw new EvenkeelError('out-of-range', `a probe of ${target.id} measured ${rttMs}; expected 0 to ${MAX_RTT_MS} ms`);
  }
}
