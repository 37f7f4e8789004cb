import { type Environment, profileExpectation, profiles } from '@mqtt2go/config';
import { Command, Option } from 'commander';

/**
 * What the command line adds to the environment: each option stands for a variable, and goes before it. Ends the process
 * after `--help` and, with exit code 1 and a line on stderr, for an option or a value that there is not.
 */
export function withArguments(args: readonly string[], env: Environment): Environment {
  const command = new Command('npm start --')
    .description('The MQTT2GO platform in one process. All settings are variables: docs/operations.md.')
    .addOption(
      new Option('--profile <name>', `${profileExpectation} (MQTT2GO_PROFILE)`).choices(
        profiles.map(({ name }) => name),
      ),
    )
    .allowExcessArguments(false)
    .parse([...args], { from: 'user' });
  const { profile } = command.opts<{ profile?: string }>();
  return profile === undefined ? env : { ...env, MQTT2GO_PROFILE: profile };
}
