import { Command } from 'commander';
import { checkpointCommand } from './audit/checkpoint-command.js';
import { listCommand } from './audit/list-command.js';
import { verifyCommand } from './audit/verify-command.js';
import { resetCommand } from './clock/reset-command.js';
import { showClockCommand } from './clock/show-command.js';
import { addCommand } from './controller/add-command.js';
import { credentialsCommand } from './controller/credentials-command.js';
import { demoCommand } from './demo/demo-command.js';
import { fleetCommand } from './device/fleet-command.js';
import { runCommand } from './device/run-command.js';
import { showCommand } from './device/show-command.js';
import { importCommand } from './factory/import/import-command.js';
import { mintCommand } from './factory/mint-command.js';
import { moveCommand } from './home/move-command.js';
import { statusCommand as homeStatusCommand } from './home/status-command.js';
import { inviteCommand } from './gateway/invite-command.js';
import { listCommand as listGatewaysCommand } from './gateway/list-command.js';
import { revokeCommand } from './gateway/revoke-command.js';
import { statusCommand } from './gateway/status-command.js';
import { type Context, contextOf, type Surroundings } from './terminal/context.js';
import { exitCodeHelp } from './terminal/exit-codes.js';
import { removeWifiCommand, setWifiCommand, showWifiCommand } from './wifi/wifi-commands.js';

type Define<A extends unknown[]> = (
  command: Command,
  run: (action: (context: Context, options: unknown, ...args: A) => Promise<void>) => void,
) => void;

const example = `
Examples:
  $ npx mqtt2go demo                       the whole story, live
  $ npx mqtt2go factory mint --device-id kettle-1 \\
      --device-type socket --out kettle-1
  $ npx mqtt2go device run kettle-1        in a second terminal
  $ npx mqtt2go controller credentials --home home-1 --gateway gw-1 --out app
  $ npx mqtt2go controller add --credentials app --device-id kettle-1 \\
      --code CODE --name Kettle --group kitchen

${exitCodeHelp}`;

/** The command line; `parseAsync` runs it. It never ends the process: usage errors are thrown as CommanderError. */
export function createProgram(surroundings: Surroundings): Command {
  const program = new Command('mqtt2go')
    .description('The command line of MQTT2GO: factory, controller and device in a terminal.')
    .option('--data <dir>', 'data folder of the platform (default: MQTT2GO_DATA_DIR or ./data)')
    .option('--json', 'results as JSON on stdout, one text a line')
    .option('--quiet', 'say nothing but errors')
    .option('--no-color', 'no colours (as NO_COLOR does)')
    .helpCommand(false)
    .showHelpAfterError('(--help tells more)')
    .addHelpText('after', example)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void surroundings.stdout.write(text),
      writeErr: (text) => void surroundings.stderr.write(text),
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
    })
    .exitOverride();

  const add = <A extends unknown[]>(parent: Command, name: string, define: Define<A>): void => {
    const command = parent.command(name);
    define(command, (action) => {
      // What commander passes: the arguments, the options, the command.
      command.action(async (...given: unknown[]) => {
        const args = given.slice(0, -2);
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- commander's arguments are those that `define` declared
        await action(contextOf(command, surroundings), command.opts(), ...(args as A));
      });
    });
  };
  add(program, 'demo', demoCommand);
  const factory = program.command('factory').description('what a manufacturer does');
  add(factory, 'mint', mintCommand);
  add(factory, 'import', importCommand);
  const controller = program.command('controller').description('what an app does');
  add(controller, 'credentials', credentialsCommand);
  add(controller, 'add', addCommand);
  const device = program.command('device').description('what a device does');
  add(device, 'run', runCommand);
  add(device, 'show', showCommand);
  add(device, 'fleet', fleetCommand);
  const wifi = program.command('wifi').description("the home's Wi-Fi, for a gateway in the house");
  add(wifi, 'set', setWifiCommand);
  add(wifi, 'show', showWifiCommand);
  add(wifi, 'remove', removeWifiCommand);
  const home = program.command('home').description('where a home lives: at its gateway or in the cloud');
  add(home, 'move', moveCommand);
  add(home, 'status', homeStatusCommand);
  const gateway = program.command('gateway').description('houses with a gateway of their own, and their cloud');
  add(gateway, 'invite', inviteCommand);
  add(gateway, 'list', listGatewaysCommand);
  add(gateway, 'revoke', revokeCommand);
  add(gateway, 'status', statusCommand);
  const audit = program.command('audit').description('who did what to which device');
  add(audit, 'list', listCommand);
  add(audit, 'verify', verifyCommand);
  add(audit, 'checkpoint', checkpointCommand);
  const clock = program.command('clock').description('the time of a platform on a machine whose clock may be wrong');
  add(clock, 'show', showClockCommand);
  add(clock, 'reset', resetCommand);
  return program;
}
