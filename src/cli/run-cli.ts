/** The table of commands, and which of them the arguments ask for. */
import type { Command, CommandIo } from './command.js';
import { knobsCommand } from './knobs.js';
import { proxyCommand } from './proxy.js';
import { ringsCommand } from './rings.js';
import { simCommand } from './sim.js';

const COMMANDS: readonly Command[] = [proxyCommand, knobsCommand, simCommand, ringsCommand];

/** @returns The exit code: 2 when the arguments name no command. */
export async function runCli(args: readonly string[], io: CommandIo, commands: readonly Command[] = COMMANDS): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--version' || name === '-v') {
    io.out(io.version);
    return 0;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    io.out(helpOf(commands));
    return 0;
  }
  const command = commands.find((one) => one.name === name);
  if (command === undefined) {
    io.error(name === undefined ? 'no command given' : `'${name}' is no command of evenkeel`);
    io.error(helpOf(commands));
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    io.out(command.help);
    return 0;
  }
  return command.run(rest, io);
}

function helpOf(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n');
  return `usage: evenkeel COMMAND [options]\n\n${rows}\n\n  evenkeel COMMAND --help   what a command does, and its options\n  evenkeel --version`;
}
