import { runnableServices } from '@mqtt2go/config';
import pc from 'picocolors';

export interface PanelContent {
  readonly profile: string;
  readonly readyMs: number;
  readonly host: string;
  readonly ports: {
    readonly home: number;
    readonly homeWss: number;
    readonly activation: number;
    readonly discovery?: number | undefined;
    readonly management?: number | undefined;
    readonly health: number;
  };
  readonly bind: string;
  readonly dataDir: string;
  /** Where the state is: the embedded database, or the host of DATABASE_URL; never the password. */
  readonly database: string;
  readonly services: readonly string[];
  readonly failedPlugins: readonly string[];
}

const openToNetwork = 'MQTT2GO_BIND=0.0.0.0 MQTT2GO_PUBLIC_HOST=<name>';

function servicesOf({ services }: PanelContent): string {
  return services.length === runnableServices.length ? 'all' : services.join(', ');
}

/** What a person sees once everything is up: where things are, and what to try next. Colours only on a terminal. */
export function readyPanel(content: PanelContent, isTerminal: boolean): string {
  const { bold, dim, green, cyan, yellow } = pc.createColors(isTerminal && !process.env.NO_COLOR);
  const { host, ports } = content;
  const row = (name: string, value: string, note = ''): string =>
    `  ${name.padEnd(18)}${cyan(value)}${note ? dim(`  ${note}`) : ''}`;
  const lines = [
    '',
    `  ${green('●')} ${bold('MQTT2GO is ready')} ${dim(`in ${(content.readyMs / 1000).toFixed(1)} s · ${content.profile}`)}`,
    '',
    row(
      'Home broker',
      `mqtts://${host}:${ports.home}`,
      ports.discovery ? 'devices, apps' : 'devices, new ones too, apps',
    ),
    row('', `wss://${host}:${ports.homeWss}`, 'web apps'),
    ...(ports.discovery === undefined
      ? []
      : [
          row('Activation broker', `mqtts://${host}:${ports.activation}`, 'new devices'),
          row('Discovery', `https://${host}:${ports.discovery}`, 'services only'),
        ]),
    ...(ports.management === undefined
      ? []
      : [row('REST', `https://localhost:${ports.management}`, 'the operator only')]),
    row('Health, metrics', `http://127.0.0.1:${ports.health}`, '/health/ready'),
    row('Data folder', content.dataDir),
    row('Database', content.database),
    ...(content.services.length > 0 ? [row('Services here', servicesOf(content))] : []),
    ...content.failedPlugins.map((failure) => `  ${yellow('!')} ${failure}`),
    '',
    `  ${bold('Try next')}, in another terminal:`,
    `    ${green('npx mqtt2go demo')}           ${dim(`${ports.discovery ? 'all 13' : 'the'} steps of adding a device, live`)}`,
    `    ${green('npx mqtt2go --help')}         ${dim('mint, add and run devices of your own')}`,
    ...(content.bind === '127.0.0.1'
      ? ['', dim('  Only this machine can connect. For a network:'), dim(`    ${openToNetwork}`)]
      : []),
    '',
    dim('  Ctrl-C stops everything; the data folder stays.'),
    '',
  ];
  return lines.join('\n');
}
