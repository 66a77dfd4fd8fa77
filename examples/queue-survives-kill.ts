/** A worker is killed in the middle of its work; the item it held is delivered again, with a higher fence, to whoever comes next. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createFileQueue } from 'evenkeel/files';

const [folder = mkdtempSync(`${tmpdir()}/evenkeel-`), role] = process.argv.slice(2);
const invoice = { body: Buffer.from('send the invoice'), key: 'invoice-17' };
const queue = createFileQueue({ folder });
if (role === 'worker') {
  await queue.enqueue([invoice]);
  const [held] = await queue.lease({ max: 1, leaseMs: 500 });
  process.send?.(held?.fence, () => process.kill(process.pid, 'SIGKILL')); // before its ack
  await once(process, 'never');
}
const [fence] = await once(fork(process.argv[1] as string, [folder, 'worker']), 'message');
const [again] = await queue.lease({ max: 10, leaseMs: 30_000 });
if (again === undefined || again.fence <= fence) throw new Error('the item was lost, or its old holder could end it');
console.log(`fence ${fence} was killed; '${Buffer.from(again.body).toString()}' came again with fence ${again.fence}`);
await again.ack();
await queue.enqueue([invoice]); // its key is free again
await queue.close();
rmSync(folder, { recursive: true });
