import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Bus, tlsLink } from '@mqtt2go/messaging';

/** The bus of a platform in another process, as its operator has it. The caller's to close. */
export async function operatorBus(dataDir: string, ports: Readonly<Record<string, string>>): Promise<Bus> {
  const read = (...path: string[]): Promise<string> => readFile(join(dataDir, 'tls', ...path), 'utf8');
  return new Bus(
    tlsLink({
      url: `mqtts://localhost:${ports.MQTT2GO_BUS_PORT}`,
      ca: await read('services-ca.crt'),
      cert: await read('services', 'operator.crt'),
      key: await read('services', 'operator.key'),
      clientId: 'operator',
    }),
  );
}
