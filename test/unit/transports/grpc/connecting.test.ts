import * as grpc from '@grpc/grpc-js';
import { getChannelzHandlers } from '@grpc/grpc-js/build/src/channelz.js';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../../../src/core/index.js';
import { KeptChannel } from '../../../../src/transports/grpc/channels.js';
import type { Destroyable } from '../../../../src/transports/grpc/connecting-socket.js';
import { createGrpcTransport } from '../../../../src/transports/grpc/index.js';

interface Connecting {
  _createSecureConnector(): { connect(socket: Destroyable): unknown };
}

describe('an attempt to connect', () => {
  it('that is given up closes the sockets to all addresses of its name', async () => {
    let tried: Connecting | undefined;
    class SilentChannel {
      constructor(_target: string, credentials: Connecting) {
        tried = credentials;
      }
      close() {}
      getTarget = () => 'target';
      getConnectivityState = () => grpc.connectivityState.CONNECTING;
      watchConnectivityState() {}
      createCall() {}
    }
    const clock = virtualClock();
    const credentials = { _createSecureConnector: () => ({ connect() {} }) };
    const plan = { target: 'target', credentials, options: {}, connectTimeoutMs: 1000, clock };
    const channel = new KeptChannel({ ...grpc, Channel: SilentChannel }, plan, { onStuck() {}, onOver() {} });
    channel.connect({ isWaiting: true, onConnection() {}, abort() {} });
    const destroyed: string[] = [];
    for (const name of ['a', 'b']) {
      tried?._createSecureConnector().connect({ destroy: () => destroyed.push(name) });
    }
    await clock.advance(1000);
    expect(destroyed).toEqual(['a', 'b']);
    tried?._createSecureConnector().connect({ destroy: () => destroyed.push('late') });
    expect(destroyed).toEqual(['a', 'b', 'late']);
  });

  it('that is given up ends the call that came last, too', async () => {
    class SilentChannel {
      close() {}
      getTarget = () => 'target';
      getConnectivityState = () => grpc.connectivityState.CONNECTING;
      watchConnectivityState() {}
    }
    const clock = virtualClock();
    const peer = { ...grpc, Channel: SilentChannel as never };
    const transport = createGrpcTransport({ grpc: peer, clock, connectTimeoutMs: 1000 });
    const to = { id: 'a', address: 'grpc://127.0.0.1:1' };
    const errors: unknown[] = [];
    const sink = { onResponse() {}, onData() {}, onEnd() {}, onError: (error: unknown) => errors.push(error) };
    transport.start(to, { path: '/first' }, sink);
    await clock.settle();
    transport.start(to, { path: '/last' }, sink);
    clock.runSync(1000);
    await clock.settle();
    const unavailable = expect.objectContaining({ code: 'unavailable', retryable: 'yes' });
    expect(errors).toEqual([unavailable, unavailable]);
  });
});

describe('a listener that cannot be had', () => {
  const listed = () =>
    new Promise<number>((resolve) => {
      const call = { request: { start_server_id: 0, max_results: 1000 } };
      getChannelzHandlers().GetServers(call as never, (_error, reply) => resolve(reply?.server?.length ?? 0));
    });

  it('leaves no server behind', async () => {
    const transport = createGrpcTransport({ grpc });
    const handler = () => ({ status: 200 });
    const listener = await transport.serve({ address: 'grpc://127.0.0.1:0' }, handler);
    const before = await listed();
    await expect(transport.serve({ address: listener.address }, handler)).rejects.toMatchObject({ code: 'already-exists' });
    expect(await listed()).toBe(before);
    await listener.close();
    await transport.close();
  });
});

describe('an option of grpc-js that is undefined', () => {
  it('leaves the transport’s own', () => {
    let given: Record<string, unknown> = {};
    class SeenChannel {
      constructor(_target: string, _credentials: object, options: Record<string, unknown>) {
        given = options;
      }
    }
    const channelOptions = { 'grpc.enable_retries': undefined, 'grpc.max_receive_message_length': undefined, 'grpc.x': 1 };
    const transport = createGrpcTransport({
      grpc: { ...grpc, Channel: SeenChannel as never },
      channelOptions,
      maxMessageBytes: 7,
    });
    const sink = { onResponse() {}, onData() {}, onEnd() {}, onError() {} };
    transport.start({ id: 'a', address: 'grpc://127.0.0.1:1' }, { path: '/x' }, sink).cancel('cancelled');
    expect(given).toMatchObject({ 'grpc.enable_retries': 0, 'grpc.max_receive_message_length': 7, 'grpc.x': 1 });
  });
});
