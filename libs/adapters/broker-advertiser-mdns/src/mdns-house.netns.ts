import { becomes } from '@mqtt2go/ports/testing';
import { waitFor } from '@mqtt2go/testing';
import { type Answer, decode, encode, type Packet } from 'dns-packet';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MachineProgram, MdnsHouse, type RemoteAdvertiser } from './test-support/mdns-house.js';

const host = 'MQTT2GO.local';
const service = '_mqtt._tcp.local';
const instance = `MQTT2GO.${service}`;

let house: MdnsHouse;
beforeEach(async () => {
  house = await MdnsHouse.open();
});
afterEach(() => house.close());
afterAll(() => MdnsHouse.removePrograms());

const isAdvertised = (gateway: RemoteAdvertiser) => becomes(gateway, ({ kind }) => kind === 'advertised', 30_000);
const isTaken = (gateway: RemoteAdvertiser) => becomes(gateway, ({ kind }) => kind === 'name-taken', 30_000);

async function advertised(options: object = {}): Promise<RemoteAdvertiser> {
  const gateway = await house.gateway(options);
  await gateway.start(8883);
  await isAdvertised(gateway);
  return gateway;
}

const packed = (packet: Packet): string => encode(packet).toString('base64');
const asking = (name: string, type: 'PTR' | 'A', authorities: Answer[] = []): string =>
  packed({ type: 'query', questions: [{ name, type }], authorities });
const answer = (...answers: Answer[]): string => packed({ type: 'response', flags: 0x400, answers });
const claim = (data: string, ttl = 120): Answer => ({ name: host, type: 'A', class: 'IN', ttl, flush: true, data });
const offer = (port: number, target = host): Answer => ({
  name: instance,
  type: 'SRV',
  class: 'IN',
  ttl: 120,
  flush: true,
  data: { port, target },
});
const pointer: Answer = { name: service, type: 'PTR', class: 'IN', ttl: 120, data: instance };

/** All that the stranger has heard from an address. */
function heard(stranger: MachineProgram, from: string): Packet[] {
  return stranger.told.items
    .filter((line) => line.heard !== undefined && line.from === from)
    .map(({ heard: bytes = '' }) => decode(Buffer.from(bytes, 'base64')));
}
const hears = (stranger: MachineProgram, from: string, what: string, is: (packet: Packet) => boolean) =>
  waitFor(() => heard(stranger, from).find(is), what);
const tell = (stranger: MachineProgram, packets: string[], more: object = {}) =>
  stranger.order('send', { packets, fromAddress: stranger.machine.address, ...more });

describe('on the wire', () => {
  it('asks three times whether the name is free before it tells it, and says goodbye', async () => {
    const stranger = await house.stranger();
    const gateway = await advertised();
    const { address } = gateway.machine;
    await hears(stranger, address, 'an announcement', ({ type }) => type === 'response');
    const packets = heard(stranger, address);
    const first = packets.findIndex(({ type }) => type === 'response');
    const probes = packets.slice(0, first).filter(({ type }) => type === 'query');
    expect(probes).toHaveLength(3);
    for (const { questions = [] } of probes) {
      expect(questions.map(({ name, type }) => `${type} ${name}`)).toEqual([`ANY ${instance}`, `ANY ${host}`]);
    }
    expect(JSON.stringify(packets)).not.toContain('127.0.0.1');
    await gateway.stop();
    const goodbye = await hears(stranger, address, 'a goodbye', ({ answers = [] }) =>
      answers.some((record) => 'ttl' in record && record.ttl === 0),
    );
    const gone = (goodbye.answers ?? []).filter((record) => 'ttl' in record && record.ttl === 0);
    expect(gone.map(({ type }) => type)).toEqual(expect.arrayContaining(['PTR', 'SRV', 'A']));
  });

  it('answers a question for the service with everything in one packet', async () => {
    const stranger = await house.stranger();
    const gateway = await advertised({ bind: '::' });
    const { address } = gateway.machine;
    // The announcements come first, within two seconds.
    await hears(stranger, address, 'announcements', () => heard(stranger, address).length >= 6);
    const before = heard(stranger, address).length;
    await tell(stranger, [asking(service, 'PTR')]);
    const reply = await waitFor(
      () =>
        heard(stranger, address)
          .slice(before)
          .find(({ type }) => type === 'response'),
      'the answer',
    );
    const records = [...(reply.answers ?? []), ...(reply.additionals ?? [])];
    expect(reply.answers).toMatchObject([{ type: 'PTR', name: service, data: instance }]);
    expect(records).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          type: 'SRV',
          name: instance,
          data: expect.objectContaining({ port: 8883, target: host }),
        }),
        expect.objectContaining({ type: 'TXT', name: instance }),
        expect.objectContaining({ type: 'A', name: host, data: address }),
        expect.objectContaining({ type: 'AAAA', name: host, data: expect.stringMatching(/^fe80:/) }),
      ]),
    );
  });

  it('defends the name against one who asks for it', async () => {
    const stranger = await house.stranger();
    const { machine } = await advertised();
    const before = heard(stranger, machine.address).length;
    await tell(stranger, [asking(host.toLowerCase(), 'A', [claim(stranger.machine.address)])]);
    const defence = await waitFor(
      () =>
        heard(stranger, machine.address)
          .slice(before)
          .find(({ type }) => type === 'response'),
      'the defence',
    );
    expect(defence.answers).toEqual(
      expect.arrayContaining([expect.objectContaining({ type: 'A', name: host, data: machine.address })]),
    );
  });
});

describe('two gateways', () => {
  it('that start at the same time settle it among them', async () => {
    const gateways = await Promise.all([house.gateway(), house.gateway()]);
    await Promise.all(gateways.map((gateway, index) => gateway.start(1_001 + index)));
    const settled = await Promise.all(
      gateways.map((gateway) => becomes(gateway, ({ kind }) => kind === 'advertised' || kind === 'name-taken', 30_000)),
    );
    expect(settled.map(({ kind }) => kind).sort()).toEqual(['advertised', 'name-taken']);
    const winner = settled.findIndex(({ kind }) => kind === 'advertised');
    expect((await house.find()).found).toEqual({ host, port: 1_001 + winner });
  });

  it('change places when the first is killed, without a goodbye', async () => {
    const first = await advertised();
    const second = await house.gateway();
    await second.start(18_883);
    expect(await isTaken(second)).toEqual({ kind: 'name-taken', holders: [first.machine.address] });
    const { warned, details } = await waitFor(
      () => second.program.told.items.find((line) => line.warned?.includes(first.machine.address)),
      'a warning',
    );
    expect(details?.code).toBe('gateway_name_taken');
    expect(warned).toContain('MQTT2GO_MDNS=off');
    await first.program.kill('SIGKILL');
    expect(await isAdvertised(second)).toEqual({ kind: 'advertised', rivals: [] });
    expect((await house.find()).found?.port).toBe(18_883);
  });

  it('never are both found, also when the network of the second comes late', async () => {
    const first = await advertised();
    const second = await house.gateway();
    await second.machine.link('down');
    await second.start(18_883);
    expect((await becomes(second, ({ kind }) => kind === 'off')).kind).toBe('off');
    await second.machine.link('up');
    await isTaken(second);
    const { found, several } = await house.find();
    expect({ found, several }).toEqual({ found: { host, port: 8883 }, several: [] });
    expect(first.state.kind).toBe('advertised');
  });

  it('that both have the name when their networks meet settle it among them', async () => {
    const first = await advertised();
    const machine = await house.network.machine();
    await house.network.plug(machine, false);
    const second = await house.gateway({}, machine);
    await second.start(18_883);
    await isAdvertised(second);
    await house.network.plug(machine, true);
    // The first question on the joint network shows each of them the other.
    await house.find();
    const loser = await Promise.race([first, second].map(async (gateway) => isTaken(gateway).then(() => gateway)));
    const winner = loser === first ? second : first;
    await isAdvertised(winner);
    const { found, several } = await house.find();
    expect({ found, several }).toEqual({ found: { host, port: winner === first ? 8883 : 18_883 }, several: [] });
  });
});

describe('a network that changes', () => {
  it('may go and come', async () => {
    const gateway = await advertised();
    await gateway.machine.link('down');
    await becomes(gateway, ({ kind }) => kind === 'off', 30_000);
    expect((await house.find()).found).toBeUndefined();
    await gateway.machine.link('up');
    await isAdvertised(gateway);
    expect((await house.find()).found?.port).toBe(8883);
  });

  it('may give another address', async () => {
    const gateway = await advertised();
    const { address } = gateway.machine;
    expect((await house.lookup(host)).addresses).toEqual([{ address, family: 4 }]);
    await gateway.machine.removeAddress(`${address}/24`);
    await becomes(gateway, ({ kind }) => kind === 'off', 30_000);
    await gateway.machine.addAddress('10.77.0.200/24');
    await isAdvertised(gateway);
    await house.find();
    expect((await house.lookup(host)).addresses).toEqual([{ address: '10.77.0.200', family: 4 }]);
  });

  it('may give the address long after the start', async () => {
    const machine = await house.network.machine({ ipv4: false });
    const gateway = await house.gateway({ bind: '::' }, machine);
    await gateway.start(8883);
    await isAdvertised(gateway);
    expect((await house.lookup(host, 4)).code).toBe('ENOTFOUND');
    await machine.addAddress('10.77.0.99/24');
    await becomes(gateway, ({ kind }) => kind === 'claiming', 30_000);
    await isAdvertised(gateway);
    await house.find();
    expect((await house.lookup(host, 4)).addresses).toEqual([{ address: '10.77.0.99', family: 4 }]);
  });

  it('may have IPv6 only', async () => {
    const gateway = await house.gateway({ bind: '::' }, await house.network.machine({ ipv4: false }));
    await gateway.start(8883);
    await isAdvertised(gateway);
    const device = await house.device({}, await house.network.machine({ ipv4: false }));
    expect((await device.order('find')).found).toEqual({ host, port: 8883 });
    const { addresses } = await device.order('lookup', { name: host });
    expect(addresses).toEqual([{ address: expect.stringMatching(/^fe80:.*%eth0$/), family: 6 }]);
  });

  it('may have interfaces on which nothing is to be told', async () => {
    const gateway = await house.gateway({ interfaces: ['eth9'] });
    await gateway.start(8883);
    expect(await becomes(gateway, ({ kind }) => kind === 'off')).toMatchObject({
      reason: expect.stringContaining('eth9'),
    });
    expect((await house.find()).found).toBeUndefined();
  });
});

describe('a device that looks', () => {
  it('waits its time where nobody answers, and none where there is no network', async () => {
    const device = await house.device({ timeoutMs: 500 });
    const { found, ms } = await device.order('find');
    expect(found).toBeUndefined();
    expect(ms).toBeGreaterThanOrEqual(490);
    expect(ms).toBeLessThan(2_000);
    await device.machine.link('down');
    const alone = await device.order('find');
    expect(alone.found).toBeUndefined();
    expect(alone.ms).toBeLessThan(250);
  });

  it('resolves MQTT2GO.local, however it is written, and other names as before', async () => {
    const { machine } = await advertised();
    for (const name of [host, 'mqtt2go.LOCAL', 'MQTT2GO.local.']) {
      expect((await house.lookup(name)).addresses).toEqual([{ address: machine.address, family: 4 }]);
    }
    expect((await house.lookup('localhost', 4)).addresses).toEqual([{ address: '127.0.0.1', family: 4 }]);
    expect((await house.lookup(host, 6)).code).toBe('ENOTFOUND');
  });

  it.each([
    ['come from another network', [answer(pointer, offer(666), claim('10.77.0.66'))], { fromAddress: '10.99.0.66' }],
    ['come from another port', [answer(pointer, offer(666), claim('10.77.0.66'))], { fromPort: 5354 }],
    ['point to another name', [answer(pointer, offer(666, 'evil.local'), claim('10.77.0.66'))], {}],
    ['point to the device itself', [answer(pointer, offer(666), claim('127.0.0.1'))], {}],
    ['point to everybody', [answer(pointer, offer(666), claim('224.0.0.251'))], {}],
    ['are none', [Buffer.from('nonsense').toString('base64'), Buffer.alloc(9_100, 0xff).toString('base64')], {}],
  ])('takes no answers that %s', async (_what, packets, more) => {
    const stranger = await house.stranger();
    if ('fromAddress' in more) await stranger.machine.addAddress('10.99.0.66/24');
    await stranger.order('answer', { packets, fromAddress: stranger.machine.address, ...more });
    expect((await house.find()).found).toBeUndefined();
    // It was asked, and did answer.
    expect(stranger.told.items.some(({ heard: bytes }) => bytes !== undefined)).toBe(true);
    await stranger.kill('SIGKILL');
    await advertised();
    expect((await house.find()).found?.port).toBe(8883);
  });

  it('tells when several say that they are the gateway', async () => {
    for (const port of [1, 2]) {
      const stranger = await house.stranger();
      const packets = [answer(pointer, offer(port), claim(stranger.machine.address))];
      await stranger.order('answer', { packets, fromAddress: stranger.machine.address });
    }
    const { found, several } = await house.find();
    expect(several?.map(({ port }) => port).sort()).toEqual([1, 2]);
    expect(found?.port).toBe(several?.[0]?.port);
  });
});

describe('strangers', () => {
  it('that pretend to have the name get it for a moment at most, unless they go on', async () => {
    const gateway = await advertised();
    const stranger = await house.stranger();
    await tell(stranger, [answer(claim('10.77.0.66'))]);
    await becomes(gateway, (state) => state.kind === 'advertised' && state.rivals.length > 0);
    const rival = stranger.machine.address;
    expect(gateway.state).toEqual({ kind: 'advertised', rivals: [rival] });
    await waitFor(async () => (await house.find()).found?.port === 8883, 'found again', 20_000);
    expect(gateway.state.kind).toBe('advertised');
  });

  it('send what they like, and gateway and devices go on', async () => {
    const gateway = await advertised();
    const stranger = await house.stranger();
    const well = encode({ type: 'response', flags: 0x400, answers: [pointer, offer(666), claim('10.77.0.66')] });
    const ask = encode({ type: 'query', questions: [{ name: host, type: 'A' }], authorities: [claim('10.77.0.66')] });
    const packets = Array.from({ length: 600 }, (_, index) => broken(index % 2 === 0 ? well : ask, index));
    for (const to of ['224.0.0.251', gateway.machine.address]) await tell(stranger, packets, { to });
    await waitFor(async () => (await house.find()).found?.port === 8883, 'found again', 30_000);
    const { addresses } = await house.lookup(host);
    expect(addresses).toEqual([{ address: gateway.machine.address, family: 4 }]);
    await gateway.stop();
    expect(gateway.state.kind).toBe('off');
  });
});

/** The same for the same number: parts cut off, bytes changed, lengths and pointers that lead anywhere. */
function broken(packet: Buffer, seed: number): string {
  const bytes = Buffer.from(packet);
  let random = seed * 2_654_435_761 + 1;
  const next = (below: number): number => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return (random >>> 8) % below;
  };
  for (let change = 0; change < 1 + (seed % 4); change += 1) bytes[next(bytes.length)] = next(256);
  return bytes.subarray(0, seed % 3 === 0 ? next(bytes.length) : bytes.length).toString('base64');
}
