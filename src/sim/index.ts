export { FLEET } from './fleet/constants.js';
export { type FleetResult, type FleetRunOptions, fleetCapacity, runFleet } from './fleet/fleet-run.js';
export { Latencies } from './fleet/latencies.js';
export { SimServer } from './fleet/sim-server.js';
export { createSimulation, type Simulation, type SimulationOptions } from './simulation.js';
