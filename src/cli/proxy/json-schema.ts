/**
 * JSON Schema (draft 2020-12), as much of it as the config uses: what a schema says is printed for editors, checked, filled in where
 * something has a default, and the TypeScript type, all from the one value. So they cannot disagree.
 *
 * A keyword that is not in the interface below does not exist here; `faultsOf` ignores none that is.
 */

export type TypeName = 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object';

export interface Schema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type: TypeName | readonly TypeName[];
  /** Filled in when the property is missing. Of an object: what its own properties are filled into. */
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | Schema;
  readonly propertyNames?: { readonly pattern: string };
  readonly minProperties?: number;
  readonly maxProperties?: number;
}

/** The type of a value that was checked and filled in. */
export type Infer<S> = S extends { type: readonly (infer T)[] }
  ? TypeOf<S, T>
  : S extends { type: infer T }
    ? TypeOf<S, T>
    : never;

type TypeOf<S, T> = T extends 'string'
  ? S extends { enum: readonly (infer E)[] }
    ? E
    : string
  : T extends 'integer' | 'number'
    ? number
    : T extends 'boolean'
      ? boolean
      : T extends 'array'
        ? S extends { items: infer I }
          ? readonly Infer<I>[]
          : never
        : ObjectOf<S>;

type ObjectOf<S> = S extends { properties: infer P }
  ? { readonly [K in keyof P as IsThere<S, P, K> extends true ? K : never]: Infer<P[K]> } & {
      readonly [K in keyof P as IsThere<S, P, K> extends true ? never : K]?: Infer<P[K]>;
    }
  : S extends { additionalProperties: infer A }
    ? Readonly<Record<string, Infer<A>>>
    : never;

type IsThere<S, P, K extends keyof P> = P[K] extends { default: unknown }
  ? true
  : S extends { required: readonly (infer R)[] }
    ? K extends R
      ? true
      : false
    : false;

/** One thing that is wrong: where, what is there, what was expected. */
export interface Fault {
  /** `services.search.timeoutMs`, `routes[0].service`; empty: the whole. */
  readonly path: string;
  readonly message: string;
}

/** All that is wrong with `value`, in its own order. */
export function faultsOf(schema: Schema, value: unknown, path = ''): Fault[] {
  const types = typesOf(schema);
  const type = types.find((name) => isOfType(value, name));
  if (type === undefined) return [{ path, message: `is ${show(value)}; expected ${types.map(article).join(' or ')}` }];
  if (type === 'string') return stringFaults(schema, value as string, path);
  if (type === 'array') return arrayFaults(schema, value as readonly unknown[], path);
  if (type === 'object') return objectFaults(schema, value as Readonly<Record<string, unknown>>, path);
  return type === 'boolean' ? [] : numberFaults(schema, value as number, path);
}

/** `value` with every default filled in; a copy. `value` is one that has no faults. */
export function withDefaults(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value))
    return schema.items === undefined ? value : value.map((item) => withDefaults(schema.items as Schema, item));
  if (!isOfType(value, 'object')) return value;
  const filled: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value as object)) {
    const inner = propertyOf(schema, name);
    filled[name] = inner === undefined ? item : withDefaults(inner, item);
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    if (!Object.hasOwn(filled, name) && inner.default !== undefined) filled[name] = withDefaults(inner, inner.default);
  }
  return filled;
}

/** The path of a property, in the notation of JavaScript. */
export function below(path: string, name: string | number): string {
  if (typeof name === 'number') return `${path}[${name}]`;
  if (!/^[A-Za-z_$][\w$-]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}

function typesOf({ type }: Schema): readonly TypeName[] {
  return typeof type === 'string' ? [type] : type;
}

function isOfType(value: unknown, type: TypeName): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  if (type === 'integer') return Number.isSafeInteger(value);
  if (type === 'number') return Number.isFinite(value);
  return type === 'string' ? typeof value === 'string' : typeof value === 'boolean';
}

function stringFaults(schema: Schema, value: string, path: string): Fault[] {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema;
  const fault = (expected: string) => [{ path, message: `is ${show(value)}; expected ${expected}` }];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return fault(`one of ${schema.enum.join(', ')}`);
  if (value.length < minLength) return fault(`at least ${minLength} characters`);
  if (value.length > maxLength) return fault(`at most ${maxLength} characters`);
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) return fault(schema.title ?? `a match of ${pattern}`);
  return [];
}

function numberFaults(schema: Schema, value: number, path: string): Fault[] {
  const { minimum, exclusiveMinimum, maximum } = schema;
  const fault = (expected: string) => [{ path, message: `is ${value}; expected ${expected}` }];
  if (minimum !== undefined && value < minimum) return fault(`at least ${minimum}`);
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) return fault(`more than ${exclusiveMinimum}`);
  if (maximum !== undefined && value > maximum) return fault(`at most ${maximum}`);
  return [];
}

function arrayFaults({ items, minItems = 0 }: Schema, value: readonly unknown[], path: string): Fault[] {
  const faults: Fault[] = [];
  if (value.length < minItems) faults.push({ path, message: `has ${value.length} items; expected at least ${minItems}` });
  if (items !== undefined) value.forEach((item, i) => void faults.push(...faultsOf(items, item, below(path, i))));
  return faults;
}

function objectFaults(schema: Schema, value: Readonly<Record<string, unknown>>, path: string): Fault[] {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema;
  const { minProperties = 0, maxProperties = Number.POSITIVE_INFINITY } = schema;
  const faults: Fault[] = [];
  const names = Object.keys(value);
  for (const name of names) {
    const inner = propertyOf(schema, name);
    if (propertyNames !== undefined && !new RegExp(propertyNames.pattern, 'u').test(name)) {
      faults.push({ path: below(path, name), message: `is a name that does not match ${propertyNames.pattern}` });
    } else if (inner !== undefined) faults.push(...faultsOf(inner, value[name], below(path, name)));
    else if (additionalProperties === false) {
      faults.push({ path: below(path, name), message: `is unknown; known are ${Object.keys(properties).join(', ')}` });
    }
  }
  for (const name of required) {
    if (!Object.hasOwn(value, name)) faults.push({ path: below(path, name), message: 'is missing' });
  }
  const known = Object.keys(properties).join(', ');
  if (names.length < minProperties || names.length > maxProperties) {
    const bounds = minProperties === maxProperties ? `exactly ${minProperties}` : `at least ${minProperties}`;
    faults.push({ path, message: `has ${names.length} properties; expected ${bounds}${known === '' ? '' : ` of ${known}`}` });
  }
  return faults;
}

function propertyOf({ properties, additionalProperties }: Schema, name: string): Schema | undefined {
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name];
  return additionalProperties === false ? undefined : additionalProperties;
}

function article(type: TypeName): string {
  if (type === 'integer') return 'a whole number';
  return type === 'array' || type === 'object' ? `an ${type}` : `a ${type}`;
}

/** A config is no secret to its owner, but a fault is one line. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
