/**
 * The sockets of connections that are being made. grpc-js lets go of an attempt that is given up, and its socket lives on for as long
 * as the server keeps it; it has no other door to it than this, of its credentials, 1.13 and later. Without it such a socket stays.
 */
export interface Destroyable {
  destroy(): void;
}

interface SecureConnector {
  connect(socket: Destroyable): unknown;
}

/** The same credentials, telling of each socket before it is secured. */
export function seeSockets(credentials: object, onSocket: (socket: Destroyable) => void): object {
  const { _createSecureConnector: create } = credentials as {
    _createSecureConnector?: (...args: unknown[]) => SecureConnector;
  };
  if (typeof create !== 'function') return credentials;
  const value = (...args: unknown[]) => {
    const connector = create.apply(credentials, args);
    const connect = connector.connect;
    connector.connect = (socket) => {
      onSocket(socket);
      return connect.call(connector, socket);
    };
    return connector;
  };
  return Object.create(credentials, { _createSecureConnector: { value } });
}
