/** The other side of T5's calls: the same echo for both. */
import * as nats from '@nats-io/transport-node';
import { createNatsCall, createNatsClient } from 'evenkeel/nats';

const [servers = ''] = process.argv.slice(2);
const connection = await nats.connect({ servers });
connection.subscribe('bare.echo', { callback: (_error, message) => void message.respond(message.data) });
const transport = createNatsCall({ client: createNatsClient({ nats, connect: { servers } }) });
const listener = await transport.serve({ address: 'nats://echo:0' }, async ({ body }) => {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return { status: 200, body: pieces.length === 1 ? pieces[0] : Buffer.concat(pieces) };
});
await connection.flush();
process.on('disconnect', () => process.exit());
process.send?.({ address: listener.address, subject: 'bare.echo' });
