import { createPublicKey } from 'node:crypto';
import { createCertificateRequest, readPrivateKey } from '@mqtt2go/pki';
import { Mqtt2goError, topics } from '@mqtt2go/protocol';
import { firstAnswer } from '../activation/activate.js';
import { checkBundle, isSameCertificate } from '../activation/bundle.js';
import { SecureSession } from '../connection/secure-session.js';
import type { BrokerAddress, Credentials, Next } from '../store/device-store.js';
import { readBrokerData, writeGetBrokerData } from '../wire.js';
import type { HomeDeps } from './home-deps.js';

/** What a device that cannot reach its home knows of it. */
export interface Known {
  readonly broker: BrokerAddress;
  readonly credentials: Credentials;
}

/** A broker in the local network that is not the known one, if there is any. Whose it is has still to be seen. */
export async function lookNearby(
  { finder, onNotice }: HomeDeps,
  known: Known,
  signal: AbortSignal,
): Promise<Next | undefined> {
  const local = await finder.findLocal(signal);
  if (local === undefined || isSame(local, known.broker)) return undefined;
  onNotice({ kind: 'found', direction: 'local', what: `MQTT2GO.local is at ${local.host}:${local.port}` });
  return { broker: { host: local.host, port: local.port } };
}

/**
 * Asks at the Discovery server, with the pre-loaded certificate, as in step 6: a device whose home has moved is told the
 * broker and given the certificate that it has; one that somebody adds anew gets what it gets then.
 * @returns undefined when the answer is what is known
 * @throws Mqtt2goError: nobody expects the device there, or the server cannot be reached or trusted
 */
export async function askDiscovery(deps: HomeDeps, known: Known, signal: AbortSignal): Promise<Next | undefined> {
  const { identity, clock, lookup, connectTimeoutMs, answerTimeoutMs, onNotice } = deps;
  const { device_id: deviceId, activation_code: activationCode, discovery, key_mode: keyMode } = identity.file;
  const topic = topics.activation.build({ activationCode });
  const session = await SecureSession.open(
    {
      ...discovery,
      ca: identity.ca,
      certificate: identity.certificate,
      key: identity.key,
      clientId: deviceId,
      connectTimeoutMs,
      clock,
      lookup,
      keepaliveSeconds: 30,
    },
    signal,
  );
  try {
    await session.subscribe([topic]);
    const answered = firstAnswer({ session, topic, read: readBrokerData, timeoutMs: answerTimeoutMs, signal });
    answered.catch(() => undefined);
    // The key in use, so that a certificate for it is what a request is answered with, too.
    const csr = keyMode === 'csr' ? request(deviceId, known.credentials.key) : undefined;
    await session.publish(topic, writeGetBrokerData(clock.own(), csr));
    const { brokerHost: host, brokerPort: port, deviceCertificate, message } = await answered;
    const certificate = isSameCertificate(deviceCertificate, known.credentials.certificate)
      ? undefined
      : checkBundle({
          bundle: deviceCertificate,
          deviceId,
          ca: identity.ca,
          preloadedKey: identity.key,
          usedKey: known.credentials.key,
          requestedKey: undefined,
        });
    if (certificate === undefined && isSame({ host, port }, known.broker)) return undefined;
    const what = `the Discovery server says that its home is at ${host}:${port}`;
    onNotice({ kind: 'found', direction: 'in', what, topic, message });
    return { broker: { host, port }, ...(certificate === undefined ? {} : { certificate }) };
  } finally {
    await session.close();
  }
}

/** True if it makes no difference whether the error is shown: nobody has anything new to say to the device. */
export function isNoNews(error: unknown): boolean {
  return error instanceof Mqtt2goError && (error.code === 'forbidden' || error.code === 'unavailable');
}

function isSame(one: BrokerAddress, other: BrokerAddress): boolean {
  return one.host === other.host && one.port === other.port;
}

function request(deviceId: string, key: string): string {
  const privateKey = readPrivateKey(key);
  return createCertificateRequest({ deviceId, keys: { privateKey, publicKey: createPublicKey(privateKey) } });
}
