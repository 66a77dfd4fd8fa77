/**
 * Preloaded (`node --import`) into every example: lets it talk to this machine only. "Runs offline" is a promise of the docs, and
 * a machine with a network would not notice when it is broken.
 */
import { isIP, Socket } from 'node:net';

const connect = Socket.prototype.connect;

/** @this {Socket} @param {any[]} args @returns {any} */
Socket.prototype.connect = function connectLocally(...args) {
  // net.connect() hands on its arguments as one normalised array.
  const [first, second] = Array.isArray(args[0]) ? args[0] : args;
  const host =
    (typeof first === 'object' && first !== null ? first.host : typeof second === 'string' ? second : '') || 'localhost';
  const isLocal = isIP(host) ? host.startsWith('127.') || host === '::1' : host === 'localhost';
  if (!isLocal) throw new Error(`an example connects to ${host}: examples run offline, on 127.0.0.1 only`);
  return Reflect.apply(connect, this, args);
};
