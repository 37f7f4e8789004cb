import { Controller } from '@mqtt2go/controller-sdk';
import { BrokerFinder, Device, type WifiCredentials } from '@mqtt2go/device-sdk';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { AheadClock } from './support/ahead-clock.js';
import { noDiscovery, storeOf } from './support/device-store.js';
import { HostapdHouse } from './support/hostapd-house.js';
import { KillableGateway } from './support/killable-gateway.js';
import { setWifi } from './support/local-house.js';
import { type AppCredentials, type MintedDevice, World } from './support/world.js';

const windowMs = 15 * 60_000;
const clock = new AheadClock();
let house: HostapdHouse;
let world: World;
let app: AppCredentials;
let controller: Controller;

beforeAll(async () => {
  house = await HostapdHouse.open();
  // A plugin reads the environment of its process.
  Object.assign(process.env, house.env);
});
afterAll(() => house.close());

const isOpen = () => waitFor(() => house.hasGuests(), 'the guest network');
const isClosed = () => waitFor(async () => !(await house.hasGuests()), 'the end of the guest network');
const isPressed = () => waitFor(async () => (await house.pushButton()).state === 'Active', 'the push button');
const homeIsUp = async (): Promise<void> => expect(await house.ask('air0', 'STATUS')).toContain('state=ENABLED');

/** A gateway with the real plugin for the block's tests, and for each a home. */
const useGateway = (method: 'guest' | 'wps'): void => {
  beforeAll(async () => {
    world = await World.create({ clock, env: { ...house.env, MQTT2GO_NETWORK_METHOD: method } });
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    app = await world.app();
    await setWifi(world, app);
    controller = new Controller({ ...app, ca: world.ca, repeatMs: 2_000 });
    await controller.connect();
  });
  afterEach(async () => {
    await controller.close();
    clock.reset();
  });
};

/** Step 1 and the name. */
const add = ({ deviceId, code: activationCode }: MintedDevice): Promise<unknown> => {
  const added = controller.addDevice({ deviceId, activationCode, naming: { name: 'Lamp', groupIds: ['living'] } });
  added.catch(() => undefined);
  return added;
};

/** Switches the device on, as one that is in the home's or the guests' network. Resolves with its topics. */
const live = (made: MintedDevice, joinWifi?: (wifi: WifiCredentials) => void): Promise<readonly string[]> => {
  const port = world.platform.file.ports.home;
  const device = new Device(storeOf(made, world.ca, noDiscovery), {
    finder: new BrokerFinder(async () => ({ host: 'localhost', port })),
    times: { backOff: { minMs: 100, maxMs: 1_000 }, answerTimeoutMs: 2_000, askAgainMs: 2_000 },
    ...(joinWifi && { joinWifi }),
  });
  device.run().catch(() => undefined);
  onTestFinished(() => device.stop());
  return new Promise((resolve) => device.once('active', resolve));
};
const topicOf = ({ type, deviceId }: MintedDevice): string =>
  `${app.homeId}/${app.gatewayId}/living/${type}/${deviceId}`;

describe('a device comes by the guest network of a hostapd', () => {
  useGateway('guest');

  it('that is up under its code until it has its name, and is told the home’s Wi-Fi', async () => {
    const made = await world.mint();
    expect(await house.hasGuests()).toBe(false);
    const added = add(made);
    await isOpen();
    expect(await house.ask('guest0', 'STATUS')).toContain('state=ENABLED');
    expect(await house.ask('guest0', 'GET_CONFIG')).toContain('ssid=MQTT2GO\nwps_state=disabled\nwpa=2\n');
    expect(await house.newestPassphrase()).toBe(made.code);
    const told: WifiCredentials[] = [];
    expect(await live(made, (wifi) => void told.push(wifi))).toEqual([topicOf(made)]);
    await added;
    expect(told).toEqual([{ ssid: 'Our home', password: 'correct horse' }]);
    await isClosed();
    expect(await house.files()).toEqual([]);
    await homeIsUp();
  });

  it('that is gone with its 15 minutes, when the device does not come', async () => {
    const made = await world.mint();
    void add(made);
    await isOpen();
    clock.advance(windowMs + 1_000);
    await isClosed();
    await homeIsUp();
    await expect(world.connectByAccount(made)).rejects.toThrow(/Bad username or password|Not authorized/);
  });
});

describe('a device comes by the push button of a hostapd', () => {
  useGateway('wps');

  it('that lets it in, and nobody before or after it', async () => {
    expect(await house.press()).toBeUndefined();
    const made = await world.mint();
    const added = add(made);
    await isPressed();
    expect(await house.press()).toEqual({ ssid: 'Home', password: 'of-the-home-itself' });
    expect(await house.pushButton()).toEqual({ state: 'Disabled', last: 'Success' });
    expect(await live(made)).toEqual([topicOf(made)]);
    await added;
    expect(await house.press()).toBeUndefined();
    expect(await house.hasGuests()).toBe(false);
  });

  it('that is off with the end of the activation, when the device does not come', async () => {
    void add(await world.mint());
    await isPressed();
    clock.advance(windowMs + 1_000);
    // It calls a button that is cancelled one whose time is over.
    await waitFor(async () => (await house.pushButton()).state === 'Timed-out', 'the end of the push button');
    expect(await house.press()).toBeUndefined();
  });
});

describe('the guest network of a gateway that is killed by kill -9', () => {
  let gateway: KillableGateway;

  beforeAll(async () => {
    gateway = await KillableGateway.create(house.env);
  });
  afterAll(() => gateway.close());

  it('goes with the gateway, is there again for the device with it, and gone when that has its name', async () => {
    await gateway.start();
    const made = await gateway.mint({ deviceId: 'lamp-1' });
    const port = Number(gateway.ports.MQTT2GO_HOME_PORT);
    let isNear = false;
    const finder = new BrokerFinder(async () => (isNear ? { host: 'localhost', port } : undefined));
    const adding = await gateway.add(await gateway.open('home-1'), made, noDiscovery, { finder });
    onTestFinished(() => adding.close());
    await isOpen();
    await gateway.kill();
    await isClosed();
    await gateway.start();
    await isOpen();
    expect(await house.newestPassphrase()).toBe(made.code);
    isNear = true;
    await adding.added;
    expect(await adding.isActive).toEqual([`home-1/gw/living/${made.type}/${made.deviceId}`]);
    await isClosed();
    await homeIsUp();
  });
});
