import { type IncomingMessage, request } from 'node:http';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { OpenwrtSettings } from './openwrt-settings.js';

const maxAnswerBytes = 256 * 1024;
const trustCodes = /^(CERT_|ERR_TLS_CERT|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH)/;

/**
 * Posts one JSON text to the router. Nothing is sent, the password above all, before its certificate was found right.
 * @throws Mqtt2goError `server_untrusted`, `unavailable`, `timeout`
 */
export async function post(settings: OpenwrtSettings, body: string): Promise<string> {
  const end = AbortSignal.timeout(settings.MQTT2GO_OPENWRT_TIMEOUT_MS);
  let socket: TLSSocket | undefined;
  try {
    socket = await trusted(settings, end);
    return await exchange(settings, socket, body, end);
  } catch (cause) {
    if (cause instanceof Mqtt2goError) throw cause;
    if (end.aborted) throw new Mqtt2goError('timeout', 'The router does not answer in time.', { cause });
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (trustCodes.test(code)) throw new Mqtt2goError('server_untrusted', undefined, { cause });
    throw new Mqtt2goError('unavailable', 'The router cannot be reached; see its address and that it runs.', { cause });
  } finally {
    socket?.destroy();
  }
}

function trusted(settings: OpenwrtSettings, end: AbortSignal): Promise<TLSSocket> {
  const { hostname, port } = new URL(settings.MQTT2GO_OPENWRT_URL);
  const host = hostname.replace(/^\[|\]$/g, '');
  const pin = settings.MQTT2GO_OPENWRT_CERTIFICATE_SHA256?.replaceAll(':', '').toUpperCase();
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: port === '' ? 443 : Number(port),
      minVersion: 'TLSv1.2',
      // With a pin it is this one certificate, whoever signed it and whatever it is called.
      rejectUnauthorized: pin === undefined,
      ...(settings.ca === undefined ? {} : { ca: settings.ca }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const stop = (): void => {
      socket.destroy(new Error('out of time'));
    };
    end.addEventListener('abort', stop, { once: true });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      end.removeEventListener('abort', stop);
      if (pin === undefined || socket.getPeerCertificate().fingerprint256.replaceAll(':', '') === pin)
        return resolve(socket);
      socket.destroy();
      reject(new Mqtt2goError('server_untrusted', 'The router’s certificate is not the one that is pinned.'));
    });
  });
}

function exchange(settings: OpenwrtSettings, socket: TLSSocket, body: string, end: AbortSignal): Promise<string> {
  const { host, pathname } = new URL(settings.MQTT2GO_OPENWRT_URL);
  return new Promise((resolve, reject) => {
    const sent = request({
      createConnection: () => socket,
      method: 'POST',
      path: pathname,
      headers: {
        host,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        connection: 'close',
      },
      signal: end,
    });
    sent.once('error', reject);
    sent.once('response', (response) => {
      textOf(response).then(resolve, reject);
    });
    sent.end(body);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200)
    throw new Mqtt2goError('unavailable', `The router answers with ${response.statusCode}.`);
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response) {
    if (!Buffer.isBuffer(part)) continue;
    size += part.length;
    if (size > maxAnswerBytes) throw new Mqtt2goError('unavailable', 'The router’s answer is too long.');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
