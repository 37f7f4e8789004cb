import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { federation } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootstrap } from '../../../tools/bootstrap.mjs';
import { FakeTime, hasFakeTime } from './support/fake-time.js';
import { FederationStand, writeInvitation } from './support/federation-stand.js';
import { freePorts } from './support/gateway-process.js';
import { operatorBus } from './support/operator-bus.js';
import { Program } from './support/program.js';

/** The cloud's clock is right; the gateway's is in 1970 after a power cut, and there is no time server. */
describe.skipIf(!hasFakeTime)('a gateway whose clock starts in 1970, and its cloud', () => {
  let stand: FederationStand;
  let folder: string;
  let clock: FakeTime;
  let ports: Record<string, string>;
  let env: Record<string, string>;
  let gateway: Program;

  const dataDir = (): string => join(folder, 'data');
  const start = async (): Promise<void> => {
    gateway = Program.start('gateway', { ...ports, ...clock.env, ...env });
    await gateway.says((line) => line.includes('"msg":"ready"'));
  };
  const bridged = async (): Promise<void> => {
    const bus = await operatorBus(dataDir(), ports);
    const isBridged = async () => (await bus.call(federation.getLinkStatus, {})).bridge?.connected === true;
    await waitFor(isBridged, 'the bridge to the cloud', 30_000).finally(() => bus.close());
  };

  beforeAll(async () => {
    await bootstrap();
    stand = await FederationStand.create();
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-1970-'));
    clock = new FakeTime(folder);
    ports = await freePorts();
    env = {
      MQTT2GO_PROFILE: 'local-gateway',
      MQTT2GO_INVITATION: await writeInvitation(await stand.invite('home-1970')),
      MQTT2GO_DATA_DIR: dataDir(),
      MQTT2GO_LOG_FORMAT: 'json',
    };
    await clock.set(new Date());
    await start();
    await bridged();
  });
  afterAll(async () => {
    await gateway.end();
    await stand.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('are joined by link and bridge, before the clock is set', async () => {
    await gateway.end('SIGKILL');
    await clock.set(new Date(0));
    await start();
    expect(gateway.text).toContain("the system's clock is behind");
    await bridged();
    const metrics = await (await fetch(`http://127.0.0.1:${ports.MQTT2GO_HEALTH_PORT}/metrics`)).text();
    expect(metrics).toMatch(/mqtt2go_clock_system_offset_seconds\S* -\d{9,}/);
  });

  it('are not, when the time has come at which the certificates of the cloud have ended', async () => {
    await gateway.end('SIGKILL');
    await clock.set(new Date(Date.now() + 3_000 * 86_400_000));
    await start();
    await gateway.says((line) => line.includes('the bridge is down') && line.includes('CERT_HAS_EXPIRED'));
  });
});
