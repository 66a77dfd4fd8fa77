/** One channel per address, kept, and the calls on it. A channel that was forgotten is closed when the last of them is over. */
import type { Channel, Grpc } from './peer.js';

/** What a channel needs of its calls. */
export interface ChannelMember {
  /** The connection is there (`ready`), or cannot be had at present. */
  onConnection(isReady: boolean): void;
  /** Not begun to send. */
  readonly isWaiting: boolean;
}

export class KeptChannel<Member extends ChannelMember> {
  readonly channel: Channel;
  readonly members = new Set<Member>();
  readonly #states: Grpc['connectivityState'];
  #isWatched = false;
  #isRetired = false;
  #isClosed = false;

  constructor(channel: Channel, states: Grpc['connectivityState']) {
    this.channel = channel;
    this.#states = states;
  }

  /** Asks for a connection, and tells the member at once or when there is something to tell. */
  connect(member: Member): void {
    this.#tell(this.channel.getConnectivityState(true), [member]);
    if (member.isWaiting) this.#watch();
  }

  leave(member: Member): void {
    this.members.delete(member);
    if (this.#isRetired && this.members.size === 0) this.close();
  }

  retire(): void {
    this.#isRetired = true;
    if (this.members.size === 0) this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.channel.close();
  }

  #tell(state: number, members: Iterable<Member>): void {
    const { READY, TRANSIENT_FAILURE } = this.#states;
    if (state !== READY && state !== TRANSIENT_FAILURE) return;
    for (const member of members) if (member.isWaiting) member.onConnection(state === READY);
  }

  #watch(): void {
    if (this.#isWatched || this.#isClosed) return;
    this.#isWatched = true;
    const state = this.channel.getConnectivityState(true);
    this.channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      this.#isWatched = false;
      if (this.#isClosed) return;
      this.#tell(this.channel.getConnectivityState(true), [...this.members]);
      for (const { isWaiting } of this.members) {
        if (isWaiting) return this.#watch();
      }
    });
  }
}
