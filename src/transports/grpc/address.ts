/** Addresses of gRPC endpoints: `grpc://host:port`, and `grpcs://host:port` over TLS. */
import { invalidArgument } from '../../core/errors.js';

export interface GrpcAddress {
  readonly isSecure: boolean;
  /** host:port, IPv6 in brackets. */
  readonly authority: string;
  /** As grpc-js names it. */
  readonly target: string;
}

const ADDRESS = /^(grpcs?):\/\/((?:\[[0-9A-Fa-f:.%]+\]|[^\s/:[\]@?#]+):(\d{1,5}))\/?$/;

/** @throws {EvenkeelError} `invalid-argument` for anything else. */
export function parseAddress(address: string): GrpcAddress {
  const match = typeof address === 'string' ? ADDRESS.exec(address) : null;
  if (match === null || Number(match[3]) > 65_535)
    throw invalidArgument('address', address, 'grpc://host:port or grpcs://host:port');
  const authority = match[2] as string;
  return { isSecure: match[1] === 'grpcs', authority, target: `dns:${authority}` };
}
