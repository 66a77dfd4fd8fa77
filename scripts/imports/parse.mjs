/**
 * Reads a set of TypeScript files with the compiler's own parser and binder. Text patterns would trip over strings, comments,
 * shadowed names and line breaks; a rule that cries wolf is soon switched off.
 */
import { posix } from 'node:path';
import ts from 'typescript';

/**
 * @typedef {object} Finding
 * @property {string} file
 * @property {number} line
 * @property {string} rule
 * @property {string} message
 * @property {'error' | 'warning'} severity
 *
 * @typedef {object} Import
 * @property {string} specifier - As written.
 * @property {string | undefined} target - The file it names, when that is one of the set.
 * @property {number} line
 * @property {boolean} isTypeOnly
 * @property {string[]} names - The imported names; `*` for all of them, `default` for the default.
 *
 * @typedef {object} ParsedFile
 * @property {string} path
 * @property {ts.SourceFile} source
 * @property {Import[]} imports
 */

/**
 * @param {ReadonlyMap<string, string>} files - Path from the root to text.
 * @returns {{ parsed: ParsedFile[], checker: ts.TypeChecker }}
 */
export function parseFiles(files) {
  const program = ts.createProgram({
    rootNames: [...files.keys()],
    // No library: then a name without a declaration in its file is a global, and nothing else is.
    options: {
      noLib: true,
      noResolve: true,
      types: [],
      target: ts.ScriptTarget.ESNext,
      moduleDetection: ts.ModuleDetectionKind.Force,
    },
    host: {
      fileExists: (path) => files.has(path),
      readFile: (path) => files.get(path),
      getSourceFile: (path, target) => {
        const text = files.get(path);
        return text === undefined ? undefined : ts.createSourceFile(path, text, target, true);
      },
      getDefaultLibFileName: () => 'lib.d.ts',
      getCurrentDirectory: () => '',
      getCanonicalFileName: (path) => path,
      useCaseSensitiveFileNames: () => true,
      getNewLine: () => '\n',
      writeFile: () => {},
    },
  });
  const parsed = [...files.keys()].map((path) => {
    const source = program.getSourceFile(path);
    if (source === undefined) throw new Error(`${path} was not parsed`);
    return { path, source, imports: importsOf(path, source, files) };
  });
  return { parsed, checker: program.getTypeChecker() };
}

/** @param {ts.Node} node */
export const lineOf = (node) => {
  const source = node.getSourceFile();
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
};

/**
 * Every way one module can name another: import, export from, import(), import types, require.
 * @param {string} path @param {ts.SourceFile} source @param {ReadonlyMap<string, string>} files
 */
function importsOf(path, source, files) {
  /** @type {Import[]} */
  const imports = [];
  const add = (
    /** @type {ts.Node} */ node,
    /** @type {ts.Node | undefined} */ name,
    /** @type {boolean} */ isTypeOnly,
    /** @type {string[]} */ names,
  ) => {
    const isKnown = name !== undefined && ts.isStringLiteralLike(name);
    const specifier = isKnown ? name.text : '(computed)';
    imports.push({ specifier, target: resolve(path, specifier, files), line: lineOf(node), isTypeOnly, names });
  };
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isImportDeclaration(node)) {
      add(node, node.moduleSpecifier, isTypeOnlyClause(node.importClause), importedNames(node.importClause));
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      const elements = node.exportClause && ts.isNamedExports(node.exportClause) ? [...node.exportClause.elements] : [];
      const isTypeOnly = node.isTypeOnly || (elements.length > 0 && elements.every((element) => element.isTypeOnly));
      add(
        node,
        node.moduleSpecifier,
        isTypeOnly,
        elements.length > 0 ? elements.map((e) => (e.propertyName ?? e.name).text) : ['*'],
      );
    } else if (ts.isImportTypeNode(node)) {
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true, ['*']);
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node, node.moduleReference.expression, node.isTypeOnly, ['*']);
    } else if (
      ts.isCallExpression(node) &&
      (node.expression.kind === ts.SyntaxKind.ImportKeyword || isRequire(node.expression))
    ) {
      add(node, node.arguments[0], false, ['*']);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
}

/** @param {ts.Expression} node */
const isRequire = (node) => ts.isIdentifier(node) && node.text === 'require';

/** @param {ts.ImportClause | undefined} clause */
function isTypeOnlyClause(clause) {
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const named = clause.namedBindings;
  if (clause.name !== undefined || named === undefined || !ts.isNamedImports(named)) return false;
  return named.elements.length > 0 && named.elements.every((element) => element.isTypeOnly);
}

/** @param {ts.ImportClause | undefined} clause */
function importedNames(clause) {
  if (clause === undefined) return [];
  const named = clause.namedBindings;
  const names = clause.name === undefined ? [] : ['default'];
  if (named === undefined) return names;
  if (ts.isNamespaceImport(named)) return [...names, '*'];
  return [...names, ...named.elements.filter((e) => !e.isTypeOnly).map((e) => (e.propertyName ?? e.name).text)];
}

/** @param {string} from @param {string} specifier @param {ReadonlyMap<string, string>} files */
function resolve(from, specifier, files) {
  if (!specifier.startsWith('.')) return undefined;
  const path = posix.join(posix.dirname(from), specifier);
  return [path, path.replace(/\.js$/, '.ts'), `${path}.ts`, `${path}/index.ts`].find((candidate) => files.has(candidate));
}
