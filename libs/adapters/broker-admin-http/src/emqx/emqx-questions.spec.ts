import { X509Certificate } from 'node:crypto';
import { contractController, contractDevice } from '@mqtt2go/ports/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EndpointStage, openEndpoint } from '../testing/endpoint-stage.js';
import { createTestPki, type TestPki } from '../testing/test-pki.js';

let pki: TestPki;
let stage: EndpointStage;

beforeAll(async () => {
  pki = await createTestPki();
  stage = await openEndpoint(pki, 'emqx');
  await stage.admin.replaceAll([contractDevice(), contractController()]);
});
afterAll(() => stage.close());

/** As EMQX renders `${cert_pem}`: base64 of the certificate's DER. */
async function certificate(id: string, serialNumber: string): Promise<string> {
  return new X509Certificate((await pki.device(id, serialNumber)).cert).raw.toString('base64');
}

/** The bodies of docs/operations-clustered-brokers.md, where what a client has not got is an empty string. */
async function authentication(body: object): Promise<unknown> {
  const {
    status,
    body: text,
    contentType,
  } = await stage.asker.json('/emqx/authentication', {
    clientid: '',
    username: '',
    password: '',
    cert_pem: '',
    ...body,
  });
  expect([status, contentType]).toEqual([200, 'application/json']);
  return JSON.parse(text);
}
async function authorization(body: object): Promise<unknown> {
  const { body: text } = await stage.asker.json('/emqx/authorization', body);
  return JSON.parse(text);
}

const plug = 'urn:mqtt2go:device:plug-1:0A01';

describe('EMQX asks who may sign in', () => {
  it('and learns who it is, which it tells with each further question', async () => {
    expect(await authentication({ clientid: 'plug-1', cert_pem: await certificate('plug-1', '0A01') })).toEqual({
      result: 'allow',
      is_superuser: false,
      client_attrs: { principal: plug },
    });
    const login = { clientid: 'phone-1@home-1/app', username: 'phone-1@home-1', password: 'first-password' };
    expect(await authentication(login)).toMatchObject({
      result: 'allow',
      client_attrs: { principal: 'phone-1@home-1' },
    });
  });

  it('and learns nothing when the answer is no', async () => {
    const cert_pem = await certificate('plug-1', '0A01');
    for (const body of [
      {},
      { clientid: 'plug-2', cert_pem },
      { clientid: 'plug-1', cert_pem: await certificate('plug-1', '0A02') },
      { clientid: 'plug-1', cert_pem: 'no certificate' },
      { clientid: 'plug-1', cert_pem: new X509Certificate(pki.ca).raw.toString('base64') },
      { clientid: 'plug-1', username: plug, password: 'x', cert_pem },
      { clientid: 'plug-1', username: plug },
      { clientid: 'phone-1@home-1/app', username: 'phone-1@home-1', password: 'second-password' },
      { clientid: 'x'.repeat(300), cert_pem },
    ]) {
      expect(await authentication(body)).toEqual({ result: 'deny' });
    }
  });

  it('and is told to come again while nobody can know', async () => {
    const early = await openEndpoint(pki, 'emqx');
    const body = { clientid: 'plug-1', cert_pem: await certificate('plug-1', '0A01') };
    expect((await early.asker.json('/emqx/authentication', body)).status).toBe(503);
    await early.close();
  });
});

describe('EMQX asks of topics', () => {
  const asked = { clientid: 'plug-1', principal: plug };
  it.each([
    ['allow', { ...asked, action: 'subscribe', topic: 'plug-1/topics' }],
    ['allow', { ...asked, action: 'subscribe', topic: 'home-1/gw-1/+/socket/plug-1' }],
    ['allow', { ...asked, action: 'publish', topic: 'home-1/gw-1/kitchen/socket/plug-1' }],
    [
      'allow',
      {
        clientid: 'service:provisioning-devices-1',
        principal: 'urn:mqtt2go:service:provisioning:01',
        action: 'subscribe',
        topic: '$share/provisioning/+/+/add_device',
      },
    ],
    ['deny', { ...asked, action: 'subscribe', topic: 'plug-2/topics' }],
    ['deny', { ...asked, action: 'subscribe', topic: '#' }],
    ['deny', { ...asked, action: 'subscribe', topic: '$share/x/#' }],
    ['deny', { ...asked, action: 'publish', topic: 'home-1/gw-1/+/socket/plug-1' }],
    ['deny', { ...asked, action: 'publish', topic: '$share/x/plug-1/topics' }],
    ['deny', { ...asked, clientid: 'plug-2', action: 'subscribe', topic: 'plug-1/topics' }],
    ['deny', { ...asked, principal: '', action: 'subscribe', topic: 'plug-1/topics' }],
    ['deny', { ...asked, action: 'all', topic: 'plug-1/topics' }],
    ['deny', { clientid: 'plug-1' }],
  ])('and is told to %s %o', async (result, body) => {
    expect(await authorization(body)).toEqual({ result });
  });
});

describe('sessions at EMQX', () => {
  it('are ended by their client ids', async () => {
    const { admin, management } = stage;
    await admin.remove([{ kind: 'device', id: 'plug-1' }]);
    expect(management.takeDeleted()).toEqual(['/api/v5/clients/plug-1']);
    management.answers.set('/api/v5/clients', {
      data: [{ clientid: 'phone-1@home-1/app' }, { clientid: 'other-phone-1@home-1/app' }],
      meta: { hasnext: false },
    });
    await admin.remove([{ kind: 'controller', id: 'phone-1@home-1' }]);
    expect(management.takeDeleted()).toEqual([]);
  });
});
