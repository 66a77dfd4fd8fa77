/** A fleet in virtual time: machines, wires and stores with faults, in which the production code runs unchanged and every run can be repeated. */
export type { ArrivedCall, OnCall } from './arrived-call.js';
export type { SimCalls } from './calls.js';
export { type ChaosOptions, type ChaosResult, runChaos } from './chaos/chaos-run.js';
export {
  constant,
  type Distribution,
  exponential,
  logNormal,
  logNormalOf,
  pareto,
  uniform,
  weighted,
  zipfWeights,
} from './distributions.js';
export { FifoSlots, type FifoSlotsOptions } from './fifo-slots.js';
export { type CallbackRouter, callbackRouter } from './fleet/callback-router.js';
export { FLEET, ONE_SLOW } from './fleet/constants.js';
export { type FleetMachines, type FleetResult, type FleetRunOptions, fleetCapacity, runFleet } from './fleet/fleet-run.js';
export { findHeadroom, type Headroom, type Slo } from './fleet/headroom.js';
export { Latencies } from './fleet/latencies.js';
export type { FleetSeries } from './fleet/series.js';
export { SimServer, type SimServerOptions, workPath } from './fleet/sim-server.js';
export type { SimHost } from './host.js';
export type { CrashSide, MachineOptions, SimMachine, SimProcess } from './machine.js';
export { DEFAULT_LATENCY_MS, type LinkOptions, type SimNetwork } from './network.js';
export { limiterAdmission } from './overload/limiter-admission.js';
export type {
  Admission,
  Arrival,
  ClientThrottle,
  OverloadClient,
  OverloadPhase,
  OverloadResult,
  OverloadRunOptions,
  OverloadServer,
  PhaseResult,
} from './overload/overload.js';
export { runOverload } from './overload/overload-run.js';
export { recoveryMs } from './overload/recovery.js';
export { throttledClient } from './overload/throttled-client.js';
export { type Antagonist, type Job, memoryStall, onOffAntagonist, type Processor } from './processor.js';
export { ProcessorSharing, type ProcessorSharingOptions } from './processor-sharing.js';
export {
  RPC_DESCENDANTS,
  RPC_ERROR_SHARE,
  RPC_POPULARITY,
  RPC_REQUEST_BYTES,
  RPC_RESPONSE_BYTES,
  type RpcCall,
  type RpcMethod,
  type RpcWorkload,
  rpcWorkload,
} from './rpc-workload.js';
export type { Plot, PlotSeries, Scenario, ScenarioPart, ScenarioRun, Table } from './scenario.js';
export { SCENARIOS } from './scenarios.js';
export { createSimulation, type Simulation, type SimulationOptions } from './simulation.js';
export type { SimBlobStore, SimBlobStoreOptions } from './stores/blob-store.js';
export type { SimQueueStore, SimQueueStoreOptions } from './stores/queue-store.js';
export type { SimStateStore } from './stores/state-store.js';
export { DEFAULT_STORE_TIMEOUT_MS, type StoreClientOptions } from './stores/store-client.js';
export type { UnsyncedOptions } from './stores/unsynced.js';
export { Trace } from './trace.js';
export { parseTraceFile, type TracedRequest } from './trace-file.js';
