/**
 * What a user's strict program writes, compiled against the packed library by two compilers. Extend it by one use of each subpath's
 * main names; it is compiled, never run.
 */
import { createRuntime, EvenkeelError, isEvenkeelError, type LoadReport, staticResolver } from 'evenkeel';
import { type BlobTransport, type CallContext, decodeLoadHeader, type StateTransport } from 'evenkeel/core';
import { createFileBlobs, createFileState } from 'evenkeel/files';
import { createGrpcTransport, type Grpc, type GrpcMethodDefinition, grpcMethod } from 'evenkeel/grpc';
import { createHttpTransport, type Undici } from 'evenkeel/http';
import { createMemoryState } from 'evenkeel/memory';
import { createNatsClient, createNatsState, type NatsModule } from 'evenkeel/nats';
import { createLoadReporter, createRouter, p2c, polling, type Router } from 'evenkeel/router';
import { createSimulation, exponential, type FleetResult, type Processor, ProcessorSharing, runFleet } from 'evenkeel/sim';
import { stateConformance, virtualClock } from 'evenkeel/testing';

export function describe(error: unknown): string {
  if (isEvenkeelError(error, 'deadline-exceeded')) return `late: ${error.message}`;
  return error instanceof EvenkeelError ? error.code : 'unknown';
}

export function routerOver(undici: Undici): Router {
  return createRouter({
    service: 'search',
    resolver: staticResolver(['http://10.0.0.7:8000']),
    transport: createHttpTransport({ undici, connections: 8 }),
    runtime: createRuntime({ clock: virtualClock() }),
    picker: p2c({ load: 'reported' }),
    loadSources: [polling({ mode: 'background' })],
    retry: { maxAttempts: 2, budget: { ratio: 0.1 } },
  });
}

export async function ask(router: Router, context: CallContext): Promise<unknown> {
  const response = await router.call({ path: '/', body: 'x', response: 'stream', weight: 3 }, context);
  for await (const chunk of response.stream ?? []) if (chunk.length === 0) response.reweigh(1);
  router.events.on('eject', ({ endpoint, forMs }) => `${endpoint} ${forMs}`);
  return (await router.fetch('/again')).json();
}

export async function greet(grpc: Grpc, definition: GrpcMethodDefinition<{ name: string }, { text: string }>): Promise<string> {
  const transport = createGrpcTransport({
    grpc,
    maxMessageBytes: 1_000_000,
    channelOptions: { 'grpc.keepalive_time_ms': 10_000 },
  });
  const router = createRouter({ service: 'greeter', resolver: staticResolver(['grpc://10.0.0.7:50051']), transport });
  const { path, encode, decode } = grpcMethod(definition);
  const response = await router.call({ path, body: encode({ name: 'Ada' }) });
  return decode(await response.bytes()).text;
}

export const report: LoadReport = decodeLoadHeader('TEXT cpu_utilization=0.5');
export const state: StateTransport = createMemoryState();
export const durable = (folder: string): StateTransport => createFileState({ folder, maxKeys: 10 });
export const distributed = (nats: NatsModule): StateTransport =>
  createNatsState({ client: createNatsClient({ nats, connect: { servers: 'nats://10.0.0.7:4222' } }), bucket: 'fleet' });
export const blobs = (folder: string): BlobTransport => createFileBlobs({ folder });
export const handler = createLoadReporter({ capacity: 8 }).fetch((_request, call) => new Response(call.context.criticality));
export const suite: typeof stateConformance = stateConformance;

export async function simulate(): Promise<FleetResult> {
  const simulation = createSimulation({ seed: 1, link: { latencyMs: exponential(1), loss: 0.01 } });
  const machine = simulation.machine('a', { locality: 'eu/west/1' });
  const processor: Processor = new ProcessorSharing(simulation.clock, { slots: 4 });
  machine.onBoot((process) => void simulation.calls(process).serve({ address: 'sim://a' }, () => ({ status: 200 })));
  const state: StateTransport = simulation.state(machine.process, simulation.stateStore(simulation.machine('store')));
  processor.start(10, () => machine.crash());
  await Promise.all([simulation.clock.advance(100), state.close()]);
  return runFleet({ seed: 1, clients: 2, utilization: 0.5, picker: () => p2c() });
}
