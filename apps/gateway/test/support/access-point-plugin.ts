import 'reflect-metadata';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { Clock, Mqtt2goPlugin, NetworkJoin, type PluginLifecycle } from '@mqtt2go/plugin-api';
import { type DoorOpening, GuardedNetworkJoin, type NetworkDoor } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Inject } from '@nestjs/common';

/** An access point whose state is a file; a second file beside it makes it fail. */
class FileDoor implements NetworkDoor {
  readonly methods = ['guest', 'wps'] as const;

  async open({ activationId, method, ssid, passphrase }: DoorOpening): Promise<string> {
    await this.mustAnswer();
    const content = { activationId, method, ssid, passphrase: passphrase.reveal() };
    // Whole or not at all: a test looks at it at any moment, and kills the process at any other.
    await writeFile(`${file()}.new`, JSON.stringify(content));
    await rename(`${file()}.new`, file());
    return `Choose the network ${ssid} on the device.`;
  }

  async shut(): Promise<void> {
    await this.mustAnswer();
    await rm(file(), { force: true });
  }

  private async mustAnswer(): Promise<void> {
    const isAway = await readFile(`${file()}.away`).then(
      () => true,
      () => false,
    );
    if (isAway) throw new Mqtt2goError('unavailable', 'The access point does not answer.');
  }
}

function file(): string {
  return process.env.TEST_ACCESS_POINT ?? '';
}

@Mqtt2goPlugin({
  name: 'access-point-of-tests',
  kind: 'network-join',
  api: '^1.3.0',
  providers: [
    {
      provide: NetworkJoin,
      useFactory: (clock: Clock) => new GuardedNetworkJoin(new FileDoor(), { clock, tickMs: 50 }),
      inject: [Clock],
    },
  ],
  exports: [NetworkJoin],
})
export class AccessPointPlugin implements PluginLifecycle {
  constructor(@Inject(NetworkJoin) private readonly networkJoin: NetworkJoin) {}

  start(): Promise<void> {
    return this.networkJoin.start();
  }

  stop(): Promise<void> {
    return this.networkJoin.stop();
  }
}
