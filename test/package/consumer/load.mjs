// Run inside the consumer's folder: node load.mjs present|absent|closed NAME…
const [expectation, ...names] = process.argv.slice(2);

for (const name of names) {
  const result = await import(name).catch((error) => error.code ?? String(error));
  const isLoaded = typeof result === 'object' && Object.keys(result).length > 0;
  if (expectation === 'present' && !isLoaded) throw new Error(`${name} did not load: ${JSON.stringify(result)}`);
  if (expectation === 'absent' && result !== 'ERR_MODULE_NOT_FOUND') throw new Error(`${name} is there`);
  if (expectation === 'closed' && result !== 'ERR_PACKAGE_PATH_NOT_EXPORTED')
    throw new Error(`${name} resolves: ${JSON.stringify(result)}`);
}
