import { expect, it } from 'vitest';
import { parseDeliverySubject } from '../../../../src/transports/nats/delivery-subject.js';

const position = { delivered: 2, streamSeq: 17, consumerSeq: 5, pending: 3 };

it.each([
  ['as servers before 2.10 write it', '$JS.ACK.S.c.2.17.5.1795582633867186849.3'],
  ['with a domain and an account', '$JS.ACK.hub.ACCOUNTHASH.S.c.2.17.5.1795582633867186849.3'],
  ['with a token behind it', '$JS.ACK._.ACCOUNTHASH.S.c.2.17.5.1795582633867186849.3.token'],
])('the position is read from a subject %s', (_what, subject) => {
  expect(parseDeliverySubject(subject)).toEqual(position);
});

it.each([undefined, '', '_INBOX.a.b', '$JS.ACK.S.c.1', '$JS.FC.S.c.x'])('%s is no delivery', (subject) => {
  expect(parseDeliverySubject(subject)).toBe(undefined);
});
