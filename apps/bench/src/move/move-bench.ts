import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, federation, moving, type MoveView, topicGenerator } from '@mqtt2go/messaging';
import { GatewayProcess } from '../gateway-process.js';
import { atMost, quantile, type Row } from '../report.js';
import { busOf, registerInHome } from './registering.js';
import { type Broker, SpeakingApp, SpeakingDevice } from './speakers.js';

const home = { homeId: 'bench', gatewayId: 'gw' };
const comingAtOnce = 16;
/** How often each device is commanded, and reports. */
const everyMs = 5_000;
/** What is on its way after the end of a move gets this long. */
const longestWaitMs = 30_000;

/** A home moves from a gateway to a cloud and back while all its devices are commanded and report. */
export async function moveBench(count: number, tell: (line: string) => void): Promise<Row[]> {
  const folders = await Promise.all(
    ['cloud', 'gateway'].map((name) => mkdtemp(join(tmpdir(), `mqtt2go-bench-${name}-`))),
  );
  const [cloudDir = '', gatewayDir = ''] = folders;
  const running: GatewayProcess[] = [];
  try {
    tell('a cloud, and a gateway that enrols at it ...');
    const cloud = await GatewayProcess.start(cloudDir);
    running.push(cloud);
    const invitation = join(gatewayDir, 'invitation.json');
    const inviting = await busOf(cloud, 'operator');
    await writeFile(invitation, JSON.stringify(await inviting.call(federation.inviteGateway, home)));
    await inviting.close();
    const gateway = await GatewayProcess.start(gatewayDir, {
      MQTT2GO_PROFILE: 'local-gateway',
      MQTT2GO_INVITATION: invitation,
      // It would say what the app hears twice.
      MQTT2GO_BRIDGE: 'off',
    });
    running.push(gateway);

    const operator = await busOf(gateway, 'operator');
    const credentials = await operator.call(topicGenerator.createController, home);
    tell(`${count} devices ...`);
    const registered = await registerInHome(gateway, gatewayDir, home, count);
    const ca = await readFile(join(gateway.file.tlsDir, 'ca.crt'), 'utf8');
    const devices = registered.map((device) => new SpeakingDevice(device, ca));
    const app = new SpeakingApp(home.homeId, credentials, ca);
    const brokers = { local: brokerOf(gateway), remote: brokerOf(cloud) };
    await app.come(brokers.local);
    const waiting = [...devices];
    const come = async (): Promise<void> => {
      for (let device = waiting.pop(); device !== undefined; device = waiting.pop()) await device.come(brokers.local);
    };
    await Promise.all(Array.from({ length: comingAtOnce }, come));
    const rows: Row[] = [];
    for (const to of ['remote', 'local'] as const) {
      tell(`to the ${to === 'remote' ? 'cloud' : 'gateway'} ...`);
      rows.push(...(await moveOnce({ operator, app, devices, to, broker: brokers[to] })));
    }
    await Promise.all([app.leave(), ...devices.map((device) => device.leave())]);
    await operator.close();
    return rows;
  } finally {
    for (const platform of running.reverse()) await platform.stop();
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

interface OneMove {
  readonly operator: Bus;
  readonly app: SpeakingApp;
  readonly devices: readonly SpeakingDevice[];
  readonly to: 'remote' | 'local';
  readonly broker: Broker;
}

async function moveOnce({ operator, app, devices, to, broker }: OneMove): Promise<Row[]> {
  for (const device of devices) device.gapMs = undefined;
  const talking = talk(app, devices);
  const startedAt = performance.now();
  await operator.call(moving.moveHome, { to });
  let follows: Promise<void> | undefined;
  const ended = await until(operator, (move) => {
    // As soon as the new broker lets it in, the app is there and speaks to devices that are not.
    if (move.state === 'handing-over' || move.state === 'telling') follows ??= app.come(broker);
    return move.state === 'moved' || move.state === 'rolled-back';
  });
  if (ended.state !== 'moved') throw new Error(`the move was undone: ${ended.reason} ${ended.detail}`);
  await (follows ?? app.come(broker));
  const tookMs = performance.now() - startedAt;
  await talking.stop();
  await settle(app, devices);
  await app.stay();
  const gaps = devices.flatMap(({ gapMs }) => (gapMs === undefined ? [] : [gapMs]));
  const place = to === 'remote' ? 'gateway to cloud' : 'cloud to gateway';
  const commands = countOf(devices.map((device) => app.said.get(device.deviceId) ?? new Set<number>()));
  const reports = countOf(devices.map(({ said }) => said));
  const rows = [
    {
      what: `${place}: devices that arrived`,
      value: gaps.length,
      unit: '',
      aim: String(devices.length),
      reached: gaps.length === devices.length,
    },
    { what: '  in all', value: tookMs / 1_000, unit: 's' },
    { what: '  copied and compared, before anybody is told', value: (ended.copiedMs ?? 0) / 1_000, unit: 's' },
    { what: '  gap of a device, p50', value: quantile(gaps, 0.5), unit: 'ms' },
    { what: '  gap of a device, p99', value: quantile(gaps, 0.99), unit: 'ms' },
    { what: '  gap of a device, longest', value: quantile(gaps, 1), unit: 'ms' },
    { what: '  commands of QoS 1', value: commands, unit: '' },
    atMost('  commands lost', lostCommands(app, devices), '', 0),
    { what: '  commands heard more than once', value: doubled(devices), unit: '' },
    { what: '  reports of QoS 1', value: reports, unit: '' },
    atMost('  reports lost', lostReports(app, devices), '', 0),
  ];
  app.said.clear();
  app.heard.clear();
  for (const device of devices) {
    device.heard.clear();
    device.said.clear();
  }
  return rows;
}

/** Everybody speaks all the time, evenly. */
function talk(app: SpeakingApp, devices: readonly SpeakingDevice[]): { stop(): Promise<void> } {
  let isOver = false;
  const speak = async (): Promise<void> => {
    const pauseMs = everyMs / devices.length;
    const under = new Set<Promise<void>>();
    while (!isOver) {
      const roundAt = performance.now();
      for (const [index, device] of devices.entries()) {
        const wait = roundAt + index * pauseMs - performance.now();
        if (wait > 1) await sleep(wait);
        if (isOver) break;
        for (const said of [app.command(device), device.report()]) {
          under.add(said);
          void said.finally(() => under.delete(said));
        }
      }
    }
    await Promise.race([Promise.all(under), sleep(longestWaitMs)]);
  };
  const speaking = speak();
  return {
    stop: async () => {
      isOver = true;
      await speaking;
    },
  };
}

async function until(
  operator: Bus,
  isThere: (move: MoveView) => boolean,
): Promise<MoveView & { readonly copiedMs: number | undefined }> {
  let copiedMs: number | undefined;
  for (;;) {
    const { move } = await operator.call(moving.getHomeMove, {});
    if (move?.state === 'handing-over' || move?.state === 'telling') {
      copiedMs ??= Date.parse(move.changedAt) - Date.parse(move.requestedAt);
    }
    if (move !== undefined && isThere(move)) return { ...move, copiedMs };
    await sleep(20);
  }
}

/** Waits for what is on its way. */
async function settle(app: SpeakingApp, devices: readonly SpeakingDevice[]): Promise<void> {
  const untilMs = performance.now() + longestWaitMs;
  while (performance.now() < untilMs && (lostCommands(app, devices) > 0 || lostReports(app, devices) > 0))
    await sleep(100);
}

function lostCommands(app: SpeakingApp, devices: readonly SpeakingDevice[]): number {
  const lost = devices.flatMap((device) =>
    [...(app.said.get(device.deviceId) ?? [])].filter((number) => !device.heard.has(number)),
  );
  return lost.length;
}

function lostReports(app: SpeakingApp, devices: readonly SpeakingDevice[]): number {
  return devices.flatMap(({ deviceId, said }) =>
    [...said].filter((number) => app.heard.get(deviceId)?.has(number) !== true),
  ).length;
}

function doubled(devices: readonly SpeakingDevice[]): number {
  return devices.reduce((sum, { heard }) => sum + [...heard.values()].filter((times) => times > 1).length, 0);
}

function countOf(sets: readonly ReadonlySet<number>[]): number {
  return sets.reduce((sum, { size }) => sum + size, 0);
}

function brokerOf({ file }: GatewayProcess): Broker {
  return { host: file.host, port: file.ports.home };
}
