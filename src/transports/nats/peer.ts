/**
 * The part of @nats-io/transport-node that is used, so that neither importing evenkeel nor its types load the peer:
 * `import * as nats from '@nats-io/transport-node'` fits {@link NatsModule}.
 *
 * JetStream is spoken directly, as its JSON API: what the jetstream and kv packages add are time-outs of seconds that a write in
 * flight waits out when the server dies, and watches that die with it.
 */

export interface NatsModule {
  connect(options?: object): Promise<NatsConnection>;
  headers(): NatsHeaders;
}

export interface NatsHeaders {
  readonly code: number;
  readonly description: string;
  get(name: string): string;
  append(name: string, value: string): void;
}

export interface NatsMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string;
  readonly headers?: NatsHeaders;
}

export interface NatsSubscription {
  unsubscribe(): void;
  drain(): Promise<void>;
}

export interface NatsConnection {
  /** Of the server; `cluster`: the name of the cluster it is part of. */
  readonly info?: { readonly max_payload?: number; readonly cluster?: string };
  publish(subject: string, payload?: Uint8Array | string, options?: { reply?: string; headers?: NatsHeaders }): void;
  subscribe(subject: string, options: { callback: (error: Error | null, message: NatsMessage) => void }): NatsSubscription;
  flush(): Promise<void>;
  status(): AsyncIterable<{ readonly type: string; readonly error?: Error }>;
  closed(): Promise<unknown>;
  close(): Promise<void>;
}
