/**
 * Endpoints as columns: ids, addresses, and what kind each is (weight, locality and attributes together, which few differ in).
 * `{ n, ids, at, kinds, kind }`.
 */
import { type Endpoint, parseEndpoint } from '../../core/endpoint.js';
import { asArray, asFields, asInteger, type Fields, malformed } from './document-fields.js';
import { decodeColumn, encodeColumn } from './string-column.js';

const MAX_ID_LENGTH = 256;
const MAX_ADDRESS_LENGTH = 4096;
const MAX_ROWS = 100_000;

export function encodeEndpoints(endpoints: readonly Endpoint[]): Fields {
  const kinds = new Map<string, { index: number; kind: unknown[] }>();
  const kind = endpoints.map(({ weight = 1, locality, attributes }) => {
    const fields = [weight, locality ?? null, attributes ?? null];
    const key = JSON.stringify(fields);
    const known = kinds.get(key) ?? { index: kinds.size, kind: fields };
    kinds.set(key, known);
    return known.index;
  });
  return {
    n: endpoints.length,
    ids: encodeColumn(endpoints.map(({ id }) => id)),
    // Many an endpoint is called by its address.
    at: encodeColumn(endpoints.map(({ id, address }) => (id === address ? '' : address))),
    kinds: [...kinds.values()].map((known) => known.kind),
    // One kind needs no column.
    kind: kinds.size > 1 ? kind : [],
  };
}

/** @throws {EvenkeelError} `invalid-argument` for a malformed column or endpoint, and for ids that do not rise. */
export function decodeEndpoints(value: unknown): readonly Endpoint[] {
  const what = 'endpoints';
  const fields = asFields(what, value);
  const count = asInteger(what, fields.n, 0, MAX_ROWS);
  const ids = decodeColumn('ids', fields.ids, count, MAX_ID_LENGTH);
  const addresses = decodeColumn('addresses', fields.at, count, MAX_ADDRESS_LENGTH);
  const kinds = asArray('kinds', fields.kinds, MAX_ROWS).map(parseKind);
  const kind = asArray('kind', fields.kind, MAX_ROWS);
  if (kind.length !== (kinds.length > 1 ? count : 0)) throw malformed(what, `${kind.length} of ${count} have a kind`);
  let before = '';
  return ids.map((id, row) => {
    if (row > 0 && id <= before) throw malformed(what, `'${id}' comes after '${before}'`);
    before = id;
    const of = kinds[kind.length === 0 ? 0 : asInteger('kind', kind[row])];
    if (of === undefined) throw malformed(what, 'a kind that is not there');
    return parseEndpoint({ id, address: addresses[row] === '' ? id : addresses[row], ...of });
  });
}

function parseKind(value: unknown): Partial<Endpoint> {
  const [weight, locality, attributes] = asArray('kind', value, 16);
  // The endpoint's own check says what is wrong with them; here they are only told apart from absent ones.
  const kind = {
    weight,
    ...(locality === null ? undefined : { locality }),
    ...(attributes === null ? undefined : { attributes }),
  };
  return kind as Partial<Endpoint>;
}
