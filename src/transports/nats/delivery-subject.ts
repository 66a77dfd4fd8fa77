/** What JetStream says of a delivered message in the subject to acknowledge it at. */

export interface DeliveryPosition {
  /** 1 for the first delivery. */
  readonly delivered: number;
  readonly streamSeq: number;
  /** Of the consumer; rises by one with each delivery. */
  readonly consumerSeq: number;
  /** Messages that wait behind this one. */
  readonly pending: number;
}

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`; newer servers add a domain and a token. */
export function parseDeliverySubject(subject: string | undefined): DeliveryPosition | undefined {
  if (subject === undefined || !subject.startsWith('$JS.ACK.')) return undefined;
  const tokens = subject.split('.');
  // With a domain and an account hash in front of the stream there are 11, and from some versions on one more behind.
  const at = tokens.length === 9 ? 4 : tokens.length >= 11 ? 6 : -1;
  if (at < 0) return undefined;
  const numberAt = (index: number) => Number(tokens[at + index]);
  return { delivered: numberAt(0), streamSeq: numberAt(1), consumerSeq: numberAt(2), pending: numberAt(4) };
}
