import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DiscoveryStand } from '../testing/discovery-stand.js';

const documentFile = new URL('../../../../docs/openapi.json', import.meta.url);

let stand: DiscoveryStand;
beforeAll(async () => {
  stand = await DiscoveryStand.create();
});
afterAll(() => stand.close());

it('is described by docs/openapi.json (UPDATE_DOCS=1 writes it anew)', async () => {
  const served = await stand.ask({ method: 'GET', path: '/openapi.json' });
  expect(served.status).toBe(200);
  const document = `${JSON.stringify(served.json, null, 2)}\n`;
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(documentFile, document);
  expect(document).toBe(await readFile(documentFile, 'utf8'));
});

it('describes itself to services only', async () => {
  await expect(stand.askWithoutCertificate({ method: 'GET', path: '/openapi.json' })).rejects.toThrow();
});
