/**
 * One request to the consumer, with a subscription of its own for what it brings.
 *
 * What if a delivery comes when nobody waits for it any more? It is handed back at once: the subscription of a pull that was
 * given up is drained, not dropped. And when a pull's end is not told, by a lost connection, nothing of it can be taken for another's.
 */
import type { EvenkeelError } from '../../core/errors.js';
import type { NatsLink } from './link.js';
import type { NatsMessage } from './peer.js';

export interface PullRequest {
  /** The consumer's. */
  readonly subject: string;
  /** Unique to this pull. */
  readonly inbox: string;
  readonly batch: number;
  /** Milliseconds that the server waits for one; 0: only what is there now. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export interface Pulled {
  readonly messages: readonly NatsMessage[];
  /** Clock.now() before the server was asked: nothing was delivered earlier. */
  readonly askedAtMs: number;
  /** Of the connection. */
  readonly generation: number;
  /** `refused`: the consumer is gone, or cannot take more. */
  readonly end: 'done' | 'refused' | 'lost' | 'stopped';
}

/** The server's own delay on top of the wait. */
const GRACE_MS = 1000;

/** Due again at once. */
export const NAK = '-NAK';

/** Asks once. Without a connection it ends as `lost` at once. */
export function pull(link: NatsLink, request: PullRequest): Promise<Pulled> {
  const { subject, inbox, batch, waitMs, signal } = request;
  const { clock, generation, up } = link;
  const askedAtMs = clock.now();
  if (up === undefined) return Promise.resolve({ messages: [], askedAtMs, generation, end: 'lost' });
  return new Promise((resolve, reject) => {
    const messages: NatsMessage[] = [];
    let isOver = false;
    const over = (how: 'unsubscribe' | 'drain') => {
      isOver = true;
      timer.cancel();
      unlisten();
      unrefuse();
      signal.removeEventListener('abort', onAbort);
      subscription[how]();
    };
    const end = (why: Pulled['end']) => {
      if (isOver) return;
      over(why === 'done' ? 'unsubscribe' : 'drain');
      resolve({ messages, askedAtMs, generation, end: why });
    };
    const onAbort = () => end('stopped');
    const fail = (error: EvenkeelError) => {
      if (isOver) return;
      over('drain');
      handBack(link, messages);
      reject(error);
    };
    const subscription = link.subscribe(inbox, (message) => {
      if (message.subject === inbox) {
        const code = message.headers?.code ?? 0;
        if (code === 404 || code === 408) end('done');
        else if (code >= 400) end('refused');
        return;
      }
      if (isOver) return handBack(link, [message]);
      messages.push(message);
      if (messages.length >= batch) end('done');
    });
    const unlisten = link.onChange(() => end('lost'));
    const unrefuse = link.onRefused((error) => {
      const refused = error.details?.subject;
      if (refused === subject || refused === inbox) fail(error);
    });
    const graceMs = Math.max(GRACE_MS, link.settings.requestTimeoutMs);
    const timer = clock.timer(waitMs + graceMs, () => end('lost'), true);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) return onAbort();
    const body = waitMs === 0 ? { batch, no_wait: true } : { batch, expires: Math.round(waitMs * 1e6) };
    try {
      up.publish(subject, JSON.stringify(body), { reply: inbox });
    } catch {
      // The connection is closing under our hands.
      end('lost');
    }
  });
}

/** Deliveries that nobody took are due again; without a connection, when their time with the server has run out. */
export function handBack(link: NatsLink, messages: readonly NatsMessage[]): void {
  for (const { reply } of messages) if (reply !== undefined) tell(link, reply, NAK);
}

/** Says it once, unconfirmed. */
export function tell(link: NatsLink, reply: string, word: string): void {
  try {
    link.up?.publish(reply, word);
  } catch {
    // The connection is closing; the server's own time limit stands.
  }
}

/** Due again after `ms`, and until then still ours: an acknowledgement before is taken. */
export function nakAfter(ms: number): string {
  const ns = Math.round(ms * 1e6);
  return ns === 0 ? NAK : `${NAK} {"delay": ${ns}}`;
}
