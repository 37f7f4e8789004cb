import { createInterface } from 'node:readline';
import { becomes } from '@mqtt2go/ports/testing';
import { Collector, waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AvahiMachine } from './test-support/avahi.js';
import { MdnsHouse, type RemoteAdvertiser } from './test-support/mdns-house.js';

let house: MdnsHouse;
let avahi: AvahiMachine | undefined;
beforeEach(async () => {
  house = await MdnsHouse.open();
});
afterEach(async () => {
  await house.close();
  await avahi?.remove();
  avahi = undefined;
});
afterAll(() => MdnsHouse.removePrograms());

async function withAvahi(hostName: string): Promise<AvahiMachine> {
  avahi = await AvahiMachine.start(await house.network.machine(), hostName);
  return avahi;
}

async function advertised(): Promise<RemoteAdvertiser> {
  const gateway = await house.gateway();
  await gateway.start(8883);
  await becomes(gateway, ({ kind }) => kind === 'advertised');
  return gateway;
}

describe('avahi', () => {
  it('finds the gateway, resolves its name, and sees it go', async () => {
    const client = await withAvahi('client');
    const browsing = client.spawn('avahi-browse', '-rp', '_mqtt._tcp');
    const lines = new Collector<string>();
    if (browsing.stdout !== null) createInterface(browsing.stdout).on('line', (line) => lines.add(line));
    const gateway = await advertised();
    const { address } = gateway.machine;
    const resolved = await waitFor(() => lines.items.find((line) => line.startsWith('=;')), 'the resolved service');
    expect(resolved).toBe(`=;eth0;IPv4;MQTT2GO;_mqtt._tcp;local;MQTT2GO.local;${address};8883;"txtvers=1"`);
    expect(await client.run('avahi-browse', '-rpt', '_mqtt._tcp')).toContain(resolved);
    expect(await client.run('avahi-resolve', '-4', '-n', 'MQTT2GO.local')).toBe(`MQTT2GO.local\t${address}\n`);
    await gateway.stop();
    await waitFor(() => lines.items.find((line) => line.startsWith('-;')), 'the goodbye');
    expect(lines.items.at(-1)).toBe('-;eth0;IPv4;MQTT2GO;_mqtt._tcp;local');
  });

  it('does not get the name as long as the gateway has it', async () => {
    const gateway = await advertised();
    const client = await withAvahi('client');
    const publishing = client.spawn('avahi-publish', '-a', 'MQTT2GO.local', client.machine.address);
    const said: string[] = [];
    publishing.stderr?.on('data', (part) => said.push(String(part)));
    await waitFor(() => /collision/i.test(said.join('')), 'the collision');
    expect(gateway.state.kind).toBe('advertised');
    expect(await client.run('avahi-resolve', '-4', '-n', 'MQTT2GO.local')).toContain(gateway.machine.address);
  });

  it('keeps the name when it had it before, and the gateway takes it after the goodbye', async () => {
    const other = await withAvahi('MQTT2GO');
    const gateway = await house.gateway();
    await gateway.start(8883);
    expect(await becomes(gateway, ({ kind }) => kind === 'name-taken')).toEqual({
      kind: 'name-taken',
      holders: [other.machine.address],
    });
    expect((await house.find()).found).toBeUndefined();
    await other.end();
    await becomes(gateway, ({ kind }) => kind === 'advertised');
    expect((await house.find()).found?.port).toBe(8883);
  });
});
