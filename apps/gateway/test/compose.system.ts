import { ComposeProject, freePort, hasCompose, type InspectedContainer } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { knock } from './support/gateways-door.js';

/** A machine may have an engine without Compose; where the engine is a must, so is Compose. */
const canRun = (await hasCompose()) || process.env.MQTT2GO_REQUIRE_DOCKER === '1';

const portVariables = [
  'MQTT2GO_HOME_PORT',
  'MQTT2GO_HOME_WSS_PORT',
  'MQTT2GO_HOME_CONTROLLERS_PORT',
  'MQTT2GO_ACTIVATION_PORT',
  'MQTT2GO_BUS_PORT',
  'MQTT2GO_FEDERATION_PORT',
];

async function freePorts(): Promise<Record<string, string>> {
  const ports: Record<string, string> = {};
  for (const variable of portVariables) ports[variable] = String(await freePort());
  return ports;
}

const publishedBy = ({ HostConfig }: InspectedContainer): string[] =>
  Object.entries(HostConfig.PortBindings)
    .flatMap(([inside, hosts]) => (hosts ?? []).map(({ HostIp }) => `${HostIp}:${inside}`))
    .toSorted((a, b) => a.localeCompare(b));

function expectHardened(containers: Record<string, InspectedContainer>): void {
  for (const [service, { Config, HostConfig }] of Object.entries(containers)) {
    expect.soft(HostConfig.ReadonlyRootfs, service).toBe(true);
    expect.soft(HostConfig.CapDrop, service).toEqual(['ALL']);
    expect.soft(HostConfig.SecurityOpt, service).toContain('no-new-privileges:true');
    expect.soft(Config.User, service).toMatch(/^(1000:1000|1883:1000|postgres)$/);
  }
}

describe.runIf(canRun)('compose.remote-broker.yaml', () => {
  let project: ComposeProject;
  let ports: Record<string, string>;
  let containers: Record<string, InspectedContainer>;
  const readCa = () => project.run('run', '--rm', '--no-deps', '-T', '--entrypoint', 'cat', 'cli', caPath);

  beforeAll(async () => {
    ports = await freePorts();
    project = new ComposeProject('compose.remote-broker.yaml', ports);
    await project.up();
    containers = await project.containers();
  });
  afterAll(() => project.remove());

  it('comes up with one command, and adds a device by the published ports', async () => {
    expect(await project.runOnce('cli', 'demo')).toContain('All 13 steps happened');
  });

  it('shows gateways a door of the platform, which nobody without a certificate gets through', async () => {
    expect(containers.federation?.State).toMatchObject({ Status: 'running', Health: { Status: 'healthy' } });
    const port = Number(ports.MQTT2GO_FEDERATION_PORT);
    expect(await knock(port, { ca: await readCa() })).toEqual({ status: 403, code: 'forbidden' });
  });

  it('publishes what devices, controllers, gateways and the operator need, and nothing else', () => {
    const published = Object.entries(containers)
      .map(([service, container]) => [service, publishedBy(container)] as const)
      .filter(([, ports]) => ports.length > 0);
    expect(Object.fromEntries(published)).toEqual({
      activation: [':8885/tcp'],
      bus: ['127.0.0.1:8886/tcp'],
      federation: [`:${ports.MQTT2GO_FEDERATION_PORT}/tcp`],
      'home-0': [':8883/tcp', ':8884/tcp', ':8889/tcp'],
    });
  });

  it('keeps brokers from the database, and the database and the services from the world outside', () => {
    const networksOf = (service: string): string[] =>
      Object.keys(containers[service]?.NetworkSettings.Networks ?? {}).map((name) =>
        name.slice(project.name.length + 1),
      );
    for (const broker of ['home-0', 'activation', 'bus']) expect(networksOf(broker)).not.toContain('database');
    expect(networksOf('postgres')).toEqual(['database']);
    // Gateways come to it from outside.
    expect(networksOf('federation').toSorted((a, b) => a.localeCompare(b))).toEqual(['database', 'public', 'services']);
    for (const service of ['certificate-authority', 'topic-generator', 'discovery', 'provisioning']) {
      expect(networksOf(service).toSorted((a, b) => a.localeCompare(b))).toEqual(['database', 'services']);
    }
    expect(networksOf('federation').toSorted((a, b) => a.localeCompare(b))).toEqual(['database', 'public', 'services']);
  });

  it('runs nothing as root or with a file system that can be changed, and gives each its own folder', () => {
    expectHardened(containers);
    const tls = Object.entries(containers).flatMap(([service, { Mounts }]) =>
      Mounts.filter(({ Destination }) => Destination === '/tls').map(({ Name, RW }) => [
        service,
        Name?.slice(project.name.length + 1),
        RW,
      ]),
    );
    expect(tls).toHaveLength(5);
    for (const [service, volume, isWritable] of tls) expect([volume, isWritable]).toEqual([service, false]);
  });

  it('is the same platform when it is started again', async () => {
    const before = await readCa();
    await project.run('down');
    await project.up();
    expect(await readCa()).toBe(before);
    expect(await project.runOnce('cli', 'demo')).toContain('All 13 steps happened');
  });
});

const caPath = '/deployment/operator/ca.crt';

describe.runIf(canRun)('compose.local-gateway.yaml', () => {
  let project: ComposeProject;

  beforeAll(async () => {
    project = new ComposeProject('compose.local-gateway.yaml', await freePorts());
    await project.up();
  });
  afterAll(() => project.remove());

  it('comes up with one command, and adds a device', async () => {
    expect(await project.runOnce('cli', 'demo')).toContain('All 12 steps happened');
    expectHardened(await project.containers());
  });
});
