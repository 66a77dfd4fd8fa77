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
export type { ArrivedCall, OnCall } from './exchange.js';
export { FifoSlots, type FifoSlotsOptions } from './fifo-slots.js';
export { type CallbackRouter, callbackRouter } from './fleet/callback-router.js';
export { FLEET, ONE_SLOW } from './fleet/constants.js';
export { type FleetMachines, type FleetResult, type FleetRunOptions, fleetCapacity, runFleet } from './fleet/fleet-run.js';
export { Latencies } from './fleet/latencies.js';
export { SimServer, type SimServerOptions, workPath } from './fleet/sim-server.js';
export type { CrashSide, MachineOptions, SimMachine, SimProcess } from './machine.js';
export type { LinkOptions, SimNetwork } from './network.js';
export { type Antagonist, type Job, memoryStall, onOffAntagonist, type Processor } from './processor.js';
export { ProcessorSharing, type ProcessorSharingOptions } from './processor-sharing.js';
export { createSimulation, type Simulation, type SimulationOptions } from './simulation.js';
export { Trace } from './trace.js';
