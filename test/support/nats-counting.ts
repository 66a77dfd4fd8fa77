/** The client of NATS, which counts what it publishes: what a transport tries, as it would be seen on the wire. */
import * as nats from '@nats-io/transport-node';
import type { NatsModule } from 'evenkeel/nats';

export interface CountingPeer {
  readonly module: NatsModule;
  /** Messages published to a subject so far. */
  published(subject: string): number;
}

export function countingPeer(): CountingPeer {
  const counts = new Map<string, number>();
  return {
    published: (subject) => counts.get(subject) ?? 0,
    module: {
      headers: nats.headers,
      async connect(options) {
        const connection = await nats.connect(options);
        const publish = connection.publish.bind(connection);
        connection.publish = (subject, ...rest) => {
          counts.set(subject, (counts.get(subject) ?? 0) + 1);
          publish(subject, ...rest);
        };
        return connection;
      },
    },
  };
}
