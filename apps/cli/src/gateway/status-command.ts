import { federation } from '@mqtt2go/messaging';
import type { Command } from 'commander';
import { openOperator } from '../platform/operator.js';
import type { Context } from '../terminal/context.js';
import { pairs } from '../terminal/layout.js';

export function statusCommand(command: Command, run: (action: (context: Context) => Promise<void>) => void): void {
  command
    .description('on a gateway: how it stands with its cloud, and its bridge')
    .addHelpText('after', '\nExample:\n  $ npx mqtt2go gateway status --json');
  run(status);
}

async function status({ terminal, dataDir, signal }: Context): Promise<void> {
  const operator = await openOperator(dataDir, signal);
  try {
    const { enrolled, homeId, gatewayId, cloudUrl, bridge } = await operator.bus.call(federation.getLinkStatus, {});
    const result = {
      enrolled,
      home_id: homeId ?? null,
      gateway_id: gatewayId ?? null,
      cloud_url: cloudUrl ?? null,
      bridge: bridge
        ? {
            enabled: bridge.enabled,
            connected: bridge.connected,
            queued: bridge.queued,
            last_error: bridge.lastError ?? null,
          }
        : null,
    };
    terminal.result(result, () => {
      if (!enrolled) return 'This platform is enrolled at no cloud.';
      const up = bridge?.connected === true ? 'up' : 'down';
      const how = bridge?.enabled === true ? `${up}, ${bridge.queued} messages wait` : 'switched off (MQTT2GO_BRIDGE)';
      return pairs(
        [
          ['Home', homeId ?? ''],
          ['Gateway', gatewayId ?? ''],
          ['Cloud', cloudUrl ?? ''],
          ['Bridge', how],
          ...(bridge?.lastError === undefined ? [] : [['Last error', bridge.lastError] as const]),
        ],
        terminal.colors.dim,
      );
    });
  } finally {
    await operator.close();
  }
}
