/**
 * The part of @grpc/grpc-js that is used, by its shape: declarations that named its classes could not be compiled without it, nor
 * beside another copy of it.
 */
import type { Duplex } from 'node:stream';

/** `import * as grpc from '@grpc/grpc-js'` fits. What is handed to its constructors is its own again. */
export interface Grpc {
  readonly Channel: new (target: string, credentials: never, options: never) => Channel;
  readonly Metadata: new () => Metadata;
  readonly Server: new (options: never) => GrpcServer;
  readonly ServerCredentials: { createInsecure(): object };
  readonly connectivityState: { readonly READY: number; readonly TRANSIENT_FAILURE: number };
  readonly credentials: { createInsecure(): object; createSsl(): object };
}

export interface Metadata {
  add(name: string, value: string | Buffer): void;
  set(name: string, value: string | Buffer): void;
  get(name: string): (string | Buffer)[];
  toJSON(): Record<string, (string | Buffer)[]>;
}

export interface Channel {
  close(): void;
  getTarget(): string;
  getConnectivityState(tryToConnect: boolean): number;
  watchConnectivityState(from: number, deadline: number, callback: () => void): void;
  createCall(path: string, deadline: number, host: null, parent: null, flags: null): unknown;
}

/**
 * What `Channel.createCall` returns. It is a layer below the streams of `Client`, which read sixteen messages ahead and build four
 * objects and an error a call; here a message is read when the sink takes it and the next is sent when the wire has taken the last.
 */
export interface ChannelCall {
  start(metadata: Metadata, listener: CallListener): void;
  sendMessageWithContext(context: { callback?: () => void }, message: Buffer): void;
  halfClose(): void;
  /** Asks for one message. */
  startRead(): void;
  cancelWithStatus(code: number, details: string): void;
  /** The address of the connection; the channel's target as long as the call has none. */
  getPeer(): string;
}

export interface CallListener {
  onReceiveMetadata(metadata: Metadata): void;
  onReceiveMessage(message: Buffer): void;
  onReceiveStatus(status: CallStatus): void;
}

export interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

export interface GrpcServer {
  bindAsync(authority: string, credentials: never, callback: (error: Error | null, port: number) => void): void;
  tryShutdown(callback: () => void): void;
  forceShutdown(): void;
}

/** A streaming call at the server: reads messages, writes messages. */
export interface ServerStream extends Duplex {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getPath(): string;
  getDeadline(): Date | number;
  sendMetadata(metadata: Metadata): void;
  end(trailers?: unknown): this;
}
