/**
 * Leader election: of all who campaign for a key, one leads at a time.
 *
 * Who leads? By a leader's own clock, whoever holds the lease of the key; it considers it lost before anybody else can take it. But a
 * process that was stopped in the middle of something does not look at its clock: it goes on where it was, in a term that is over.
 * Hence the token. It rises with every term, and an effect that matters carries it, to where a later term's is already known: see
 * `putFenced`.
 * @see Chubby, OSDI 2006, section 2.4 (sequencers)
 */
import { checkNumber, EvenkeelError, invalidArgument } from './errors.js';
import { EventSource, type Events } from './events.js';
import { checkKey } from './internal/keys.js';
import { LeaseKeeper } from './lease.js';
import type { Drainable } from './lifecycle.js';
import { randomId } from './random.js';
import { createRuntime, type Runtime } from './runtime.js';
import type { StateTransport } from './transport/state.js';

export interface CampaignOptions {
  /** Where the contenders meet. Not closed by the campaign. */
  state: StateTransport;
  /** What they contend for: 1 to 512 bytes, as every key of `state`. */
  key: string;
  /**
   * How long a leader that died without a word is waited for; renewed at a third of it. Default 5,000 ms; 500 to 86,400,000. Shorter
   * finds the dead sooner and deposes a busy process more often.
   */
  leaseMs?: number;
  /** Told to whoever asks who leads. Default: nothing. At most 1,000 characters. */
  name?: string;
  /** Default: one of its own. */
  runtime?: Runtime;
}

/** One time of leading. */
export interface Term {
  /** The fencing token: a positive whole number, above that of every term before. */
  readonly token: number;
  /** Aborts when the term ends: at the latest a tenth of the lease before anybody else can lead. */
  readonly signal: AbortSignal;
}

export type CampaignEvents = {
  /** This process leads from now on. */
  elected: Term;
  /** It does not any more; what it was doing as a leader is to end. */
  deposed: { readonly token: number };
};

export interface Campaign extends Drainable {
  /** The term that runs; undefined while another leads. Judged at the moment of asking. */
  readonly term: Term | undefined;
  readonly events: Events<CampaignEvents>;
  /** Gives up a term that runs, so that another may lead within a third of the lease, and campaigns no more. Never rejects. */
  drain(): Promise<void>;
  /** The same as drain: there is nothing to wait for. */
  close(): Promise<void>;
}

export const DEFAULT_CAMPAIGN_LEASE_MS = 5000;
const MAX_NAME_LENGTH = 1000;

/**
 * Campaigns for `key` until it is closed. Costs a leader three small writes a lease, and each other contender as many reads. After a
 * leader's death another leads within one lease and a third.
 *
 * @example
 * ```ts
 * import { campaign } from 'evenkeel/core';
 * import { createMemoryState } from 'evenkeel/memory';
 *
 * const election = campaign({ state: createMemoryState(), key: 'leaders/compaction' });
 * election.events.on('elected', ({ token, signal }) => {
 *   // Work until `signal` aborts; let every effect carry `token`.
 * });
 * await election.close();
 * ```
 * @throws {EvenkeelError} `invalid-argument` for a bad key, name or lease.
 */
export function campaign(options: CampaignOptions): Campaign {
  if (typeof options.state?.put !== 'function') throw invalidArgument('state', options.state, 'a StateTransport');
  const { state, name = '' } = options;
  if (typeof name !== 'string' || name.length > MAX_NAME_LENGTH) {
    throw invalidArgument('name', name, `at most ${MAX_NAME_LENGTH} characters`);
  }
  const key = checkKey('key', options.key);
  const leaseMs = checkNumber('leaseMs', options.leaseMs ?? DEFAULT_CAMPAIGN_LEASE_MS, 500, 86_400_000);
  return new LeasedCampaign(state, key, name, leaseMs, options.runtime ?? createRuntime());
}

/**
 * The name the leader of `key` gave itself; undefined while nobody leads.
 * @throws {EvenkeelError} `data-loss` for a document that no campaign wrote; what `state` throws.
 */
export async function leaderOf(state: StateTransport, key: string): Promise<string | undefined> {
  const entry = await state.get(key);
  if (entry === undefined) return undefined;
  let document: { v?: unknown; name?: unknown } | null = null;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(entry.value));
  } catch {
    // As for any other shape that is not ours.
  }
  const { v, name } = document ?? {};
  if (v === 1 && typeof name === 'string') return name;
  throw new EvenkeelError('data-loss', `${key} holds no campaign's document`, { details: { key } });
}

class LeasedCampaign implements Campaign {
  readonly events: EventSource<CampaignEvents>;
  readonly #keeper: LeaseKeeper;
  #term: { readonly term: Term; readonly end: AbortController } | undefined;
  #closed: Promise<void> | undefined;

  constructor(state: StateTransport, key: string, name: string, leaseMs: number, runtime: Runtime) {
    this.events = new EventSource<CampaignEvents>(`campaign ${key}`, runtime.diagnostics);
    // Unlike any other contender's, so that a write whose answer was lost is known again.
    const value = new TextEncoder().encode(JSON.stringify({ v: 1, name, holder: randomId(runtime.random) }));
    this.#keeper = new LeaseKeeper({
      state,
      key,
      value,
      leaseMs,
      runtime,
      conflict: 'wait',
      onHeld: (revision) => this.#begin(revision),
      onLost: () => this.#end(),
    });
    this.#keeper.start();
  }

  get term(): Term | undefined {
    return this.#keeper.isHeld ? this.#term?.term : undefined;
  }

  drain(): Promise<void> {
    return this.close();
  }

  close(): Promise<void> {
    this.#closed ??= this.#keeper.release().then(() => {});
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #begin(token: number): void {
    const end = new AbortController();
    const term = { token, signal: end.signal };
    this.#term = { term, end };
    this.events.emit('elected', term);
  }

  #end(): void {
    const ended = this.#term;
    if (ended === undefined) return;
    this.#term = undefined;
    ended.end.abort();
    this.events.emit('deposed', { token: ended.term.token });
  }
}
