/**
 * No clock, timer, chance or I/O except at the seams: the production code itself runs under the simulator, and one forgotten
 * setTimeout makes a run that cannot be repeated.
 */
import { isBuiltin } from 'node:module';
import ts from 'typescript';
import { lineOf } from './parse.mjs';

/** @typedef {import('./parse.mjs').ParsedFile} ParsedFile */
/** @typedef {import('./parse.mjs').Finding} Finding */

/** The seams themselves. */
const SEAMS = /^src\/(core\/(clock|random|host)\.ts$|transports\/|console\/|cli\/)/;

/** Exceptions, each with its reason. Keep it short: a second entry for the same reason is a missing seam. */
const ALLOWED = [
  { file: 'src/core/virtual-clock.ts', name: 'setImmediate', reason: 'drains the event loop between two steps of virtual time' },
];

const TIMER = 'use runtime.clock.timer() or .sleep()';
const NETWORK = 'use a transport';
const HOST = 'use runtime.host';

/** Globals that are refused whole. @type {Record<string, string>} */
const GLOBALS = {
  setTimeout: TIMER,
  setInterval: TIMER,
  setImmediate: TIMER,
  clearTimeout: TIMER,
  clearInterval: TIMER,
  clearImmediate: TIMER,
  performance: 'use runtime.clock.now()',
  process: HOST,
  fetch: NETWORK,
  WebSocket: NETWORK,
  EventSource: NETWORK,
  XMLHttpRequest: NETWORK,
  console: 'a library does not print: emit an event',
};

/** Globals of which some members are refused. @type {Record<string, Record<string, string>>} */
const MEMBERS = {
  Date: { now: 'use runtime.clock.now(), or .wallTime() for the calendar' },
  Math: { random: 'use runtime.random' },
  crypto: { randomUUID: 'use randomId(runtime.random)', getRandomValues: 'use runtime.random' },
  AbortSignal: { timeout: 'use deadlineSignal(runtime.clock, ms)' },
  Atomics: { wait: TIMER, waitAsync: TIMER },
};

/** Built-in modules without a clock, chance or I/O. All others are refused. */
const PURE_MODULES = new Set(
  'assert async_hooks buffer crypto diagnostics_channel events path querystring stream string_decoder url util'.split(' '),
);
const IMPURE_CRYPTO = /^(random|generate|getRandomValues|webcrypto|\*$|default$)/;

/** @param {ParsedFile} file @param {ts.TypeChecker} checker @returns {Finding[]} */
export function checkOutsideWorld({ path, source, imports }, checker) {
  if (SEAMS.test(path)) return [];
  /** @type {Finding[]} */
  const findings = [];
  const report = (/** @type {number} */ line, /** @type {string} */ what, /** @type {string} */ instead) => {
    if (ALLOWED.some(({ file, name }) => file === path && name === what)) return;
    findings.push({ file: path, line, rule: 'outside-world', message: `${what}, ${instead}`, severity: 'error' });
  };
  for (const { specifier, names, line, isTypeOnly } of imports) {
    const name = specifier.replace(/^node:/, '');
    if (isTypeOnly || !isBuiltin(specifier)) continue;
    if (!PURE_MODULES.has(name.split('/')[0] ?? '')) report(line, `import of ${specifier}`, `${HOST} or a transport`);
    if (name !== 'crypto') continue;
    for (const impure of names.filter((n) => IMPURE_CRYPTO.test(n))) {
      report(line, `${impure} of node:crypto`, 'use runtime.random, or import the pure functions by name');
    }
  }
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isIdentifier(node) && isGlobalReference(node, checker)) inspect(node.text, node, report);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return findings;
}

/**
 * @param {string} name - Of a global.
 * @param {ts.Node} node - The expression that stands for it: `Math`, or all of `globalThis.Math`.
 * @param {(line: number, what: string, instead: string) => void} report
 */
function inspect(name, node, report) {
  if (name === 'globalThis' || name === 'global') {
    for (const { member, at } of membersUsed(node)) {
      if (member === undefined) report(lineOf(node), name, 'name the member that is used, so that this check can see it');
      else inspect(member, at, report);
    }
    return;
  }
  const whole = Object.hasOwn(GLOBALS, name) ? GLOBALS[name] : undefined;
  if (whole !== undefined) return report(lineOf(node), name, whole);
  const members = Object.hasOwn(MEMBERS, name) ? MEMBERS[name] : undefined;
  if (members === undefined) return;
  if (name === 'Date' && readsClock(node)) return report(lineOf(node), 'new Date()', 'use runtime.clock.wallTime()');
  for (const { member } of membersUsed(node)) {
    if (member === undefined)
      report(lineOf(node), `a second name for ${name}`, 'use it by its own, so that this check can see it');
    else if (Object.hasOwn(members, member)) report(lineOf(node), `${name}.${member}`, members[member] ?? '');
  }
}

/** `new Date()` and `Date()`; `new Date(ms)` is a pure conversion. @param {ts.Node} node */
function readsClock({ parent }) {
  if (ts.isNewExpression(parent)) return (parent.arguments?.length ?? 0) === 0;
  return ts.isCallExpression(parent) && parent.expression.kind === ts.SyntaxKind.Identifier;
}

/**
 * Which members of an object an expression takes; undefined for "could be any".
 * @param {ts.Node} node
 * @returns {{ member: string | undefined, at: ts.Node }[]}
 */
function membersUsed(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return [{ member: parent.name.text, at: parent }];
  if (ts.isElementAccessExpression(parent) && parent.expression === node) {
    const key = parent.argumentExpression;
    return [{ member: ts.isStringLiteralLike(key) ? key.text : undefined, at: parent }];
  }
  if (ts.isParenthesizedExpression(parent) || ts.isAsExpression(parent) || ts.isNonNullExpression(parent))
    return membersUsed(parent);
  if (ts.isVariableDeclaration(parent) && ts.isObjectBindingPattern(parent.name)) {
    return parent.name.elements.map((element) => {
      const key = element.propertyName ?? element.name;
      return { member: ts.isIdentifier(key) && element.dotDotDotToken === undefined ? key.text : undefined, at: element };
    });
  }
  if (ts.isNewExpression(parent) && parent.expression === node) return [];
  if (ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword) return [];
  return ts.isTypeOfExpression(parent) ? [] : [{ member: undefined, at: parent }];
}

/**
 * True for an identifier that reads a global's value: no declaration in its file, not a property's name, not part of a type.
 * @param {ts.Identifier} node @param {ts.TypeChecker} checker
 */
function isGlobalReference(node, checker) {
  const name = node.text;
  if (!(Object.hasOwn(GLOBALS, name) || Object.hasOwn(MEMBERS, name) || name === 'globalThis' || name === 'global')) return false;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) return false;
  if (ts.isBindingElement(parent) && parent.propertyName === node) return false;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent) || isInType(node)) return false;
  const symbol = ts.isShorthandPropertyAssignment(parent)
    ? checker.getShorthandAssignmentValueSymbol(parent)
    : checker.getSymbolAtLocation(node);
  return (symbol?.declarations ?? []).length === 0;
}

/** @param {ts.Node} node */
function isInType(node) {
  for (let at = node; at !== undefined && !ts.isStatement(at); at = at.parent) {
    if (ts.isTypeNode(at) && !ts.isExpressionWithTypeArguments(at)) return true;
  }
  return false;
}
