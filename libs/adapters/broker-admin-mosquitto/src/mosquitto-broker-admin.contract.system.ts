import { Certificates, closed, type Credentials, subscribes, tryConnect } from '@mqtt2go/testing';
import { brokerAdminContract, contractDeviceIds, contractSerials } from '@mqtt2go/ports/testing';
import { beforeAll } from 'vitest';
import { MosquittoStage } from './test-support/mosquitto-stage.js';

let certificates: Certificates;
const ofDevices = new Map<string, Credentials>();

beforeAll(async () => {
  certificates = await Certificates.create();
  for (const id of contractDeviceIds) {
    for (const serial of contractSerials) ofDevices.set(`${id} ${serial}`, await certificates.device(id, serial));
  }
});

const contract = (name: string, gateways: boolean): void =>
  brokerAdminContract(
    name,
    async () => {
      const stage = await MosquittoStage.start(certificates, 'home', { gateways });
      return {
        admin: stage.admin(),
        connect: async ({ key, certificateSerial, password }) => {
          const door = certificateSerial === undefined ? 'controllers' : 'devices';
          const outcome = await tryConnect(stage.url(door), {
            ca: certificates.root.certificate,
            ...(password !== undefined && { username: key.id, password }),
            ...(certificateSerial !== undefined && ofDevices.get(`${key.id} ${certificateSerial}`)),
          });
          if ('refusedWith' in outcome) return undefined;
          return { maySubscribe: (filter) => subscribes(outcome.client, filter), closed: closed(outcome.client) };
        },
        restart: () => stage.killAndStart(),
        close: () => stage.close(),
      };
    },
    // It knows a certificate by its CN, lets everybody in whose certificate TLS trusts, and ends changed sessions.
    { knowsCertificates: false, turnsAway: false, keepsChangedSessions: false },
  );

contract('MosquittoBrokerAdmin', false);
contract('MosquittoBrokerAdmin for homes with gateways', true);
