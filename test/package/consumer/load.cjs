// Run inside the consumer's folder: node load.cjs present|same NAME…
const [expectation, ...names] = process.argv.slice(2);

for (const name of names) {
  const required = require(name);
  if (Object.keys(required).length === 0) throw new Error(`${name} is empty`);
  if (expectation !== 'same') continue;
  import(name).then((imported) => {
    for (const key of Object.keys(imported)) {
      if (imported[key] !== required[key]) throw new Error(`${name}: ${key} exists twice`);
    }
  });
}
