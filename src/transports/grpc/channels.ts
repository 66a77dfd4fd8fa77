/**
 * One channel per address, kept, and the calls on it. A channel that was forgotten is closed when the last of them is over.
 *
 * How long may a connection take? grpc-js waits for ever for a server that accepts one and says nothing, and for two minutes of the
 * kernel's where nobody answers. Here an attempt has its time; then the calls that wait for it go elsewhere, and the next call begins
 * anew on another channel.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { EvenkeelError } from '../../core/errors.js';
import { type Destroyable, seeSockets } from './connecting-socket.js';
import type { Channel, Grpc } from './peer.js';

/** What a channel needs of its calls. */
export interface ChannelMember {
  /** The connection is there (`ready`), or cannot be had at present. */
  onConnection(isReady: boolean): void;
  /** Not begun to send. */
  readonly isWaiting: boolean;
  /** Ends the call. */
  abort(error: EvenkeelError): void;
}

/** Where a channel leads to, and on what terms. */
export interface ChannelPlan {
  readonly target: string;
  readonly credentials: object;
  readonly options: object;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
}

/** Who keeps a channel. */
export interface ChannelOwner {
  /** It gave up: it takes no more calls. */
  onStuck(): void;
  /** It is retired, and its last call over. */
  onOver(): void;
}

export class KeptChannel<Member extends ChannelMember> {
  readonly channel: Channel;
  readonly members = new Set<Member>();
  readonly #states: Grpc['connectivityState'];
  readonly #plan: ChannelPlan;
  readonly #owner: ChannelOwner;
  /** Of the attempt under way. */
  #timer: Timer | undefined;
  /** Several where a name has several addresses: grpc-js tries the next before the last has failed. */
  readonly #sockets = new Set<Destroyable>();
  #isWatched = false;
  #isRetired = false;
  #isClosed = false;

  constructor({ Channel, connectivityState }: Grpc, plan: ChannelPlan, owner: ChannelOwner) {
    this.#states = connectivityState;
    this.#plan = plan;
    this.#owner = owner;
    const credentials = seeSockets(plan.credentials, (socket) => {
      if (this.#isClosed) return socket.destroy();
      this.#sockets.add(socket);
      this.#watch();
    });
    this.channel = new Channel(plan.target, credentials as never, plan.options as never);
  }

  /** Asks for a connection, and tells the member at once or when there is something to tell. */
  connect(member: Member): void {
    this.#tell(this.channel.getConnectivityState(true), [member]);
    if (!member.isWaiting) return;
    this.#watch();
    const { clock, connectTimeoutMs } = this.#plan;
    // Holds the process: a call waits, and grpc-js does not know of it yet.
    this.#timer ??= clock.timer(connectTimeoutMs, () => this.#giveUp(), true);
  }

  leave(member: Member): void {
    this.members.delete(member);
    this.#closeIfOver();
  }

  /** Takes no more calls, and closes with the last. */
  retire(): void {
    this.#isRetired = true;
    this.#closeIfOver();
  }

  /** Streams on it go on to their ends. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.channel.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  #closeIfOver(): void {
    if (!this.#isRetired || this.members.size > 0) return;
    this.close();
    this.#owner.onOver();
  }

  #tell(state: number, members: Iterable<Member>): void {
    const { READY, TRANSIENT_FAILURE } = this.#states;
    if (state !== READY && state !== TRANSIENT_FAILURE) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sockets.clear();
    for (const member of members) if (member.isWaiting) member.onConnection(state === READY);
  }

  #watch(): void {
    if (this.#isWatched || this.#isClosed) return;
    this.#isWatched = true;
    const state = this.channel.getConnectivityState(false);
    this.channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      this.#isWatched = false;
      if (this.#isClosed) return;
      this.#tell(this.channel.getConnectivityState(this.#isAwaited), [...this.members]);
      if (this.#timer !== undefined || this.#sockets.size > 0 || this.#isAwaited) this.#watch();
    });
  }

  get #isAwaited(): boolean {
    for (const { isWaiting } of this.members) if (isWaiting) return true;
    return false;
  }

  #giveUp(): void {
    const { target, connectTimeoutMs } = this.#plan;
    this.close();
    this.#owner.onStuck();
    const message = `no connection to ${target} within ${connectTimeoutMs} ms`;
    const error = new EvenkeelError('unavailable', message, { retryable: 'yes' });
    for (const member of [...this.members]) if (member.isWaiting) member.abort(error);
  }
}
