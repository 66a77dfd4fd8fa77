/** The client of NATS, which counts what it publishes, keeps it back, and loses answers: what a transport tries, as it would be seen on the wire. */
import * as nats from '@nats-io/transport-node';
import type { NatsModule } from 'evenkeel/nats';

export interface CountingPeer {
  readonly module: NatsModule;
  /** Messages published to a subject so far. */
  published(subject: string): number;
  /** The answer to the next message published to the subject does not arrive; the one after that is not sent, and answered so. */
  loseAnswer(subject: string, next?: object): void;
  /** Keeps back what is published to the subject from now on; resolves, once there is something, with what lets it go. */
  hold(subject: string): Promise<() => void>;
}

export function countingPeer(): CountingPeer {
  const counts = new Map<string, number>();
  const losing = new Set<string>();
  const answers = new Map<string, object>();
  const holding = new Map<string, (send: () => void) => void>();
  return {
    published: (subject) => counts.get(subject) ?? 0,
    loseAnswer(subject, next) {
      losing.add(subject);
      if (next !== undefined) answers.set(subject, next);
    },
    hold(subject) {
      return new Promise((resolve) => {
        const held: (() => void)[] = [];
        const release = () => {
          holding.delete(subject);
          for (const send of held) send();
        };
        holding.set(subject, (send) => {
          held.push(send);
          resolve(release);
        });
      });
    },
    module: {
      headers: nats.headers,
      async connect(options) {
        const connection = await nats.connect(options);
        const publish = connection.publish.bind(connection);
        connection.publish = (subject, payload, rest) => {
          counts.set(subject, (counts.get(subject) ?? 0) + 1);
          const hold = holding.get(subject);
          if (hold !== undefined) return hold(() => publish(subject, payload, rest));
          const answer = losing.has(subject) ? undefined : answers.get(subject);
          if (answer !== undefined && rest?.reply !== undefined) {
            answers.delete(subject);
            publish(rest.reply, JSON.stringify(answer));
          } else {
            publish(subject, payload, losing.delete(subject) ? { ...rest, reply: 'nobody.listens' } : rest);
          }
        };
        return connection;
      },
    },
  };
}
