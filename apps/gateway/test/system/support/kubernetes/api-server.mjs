/**
 * What an API server does with Secrets, for the one program that uses it: get, create, replace by resource version. It
 * runs in a container of its own; each Secret is also in a file, for whoever mounts it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { text } from 'node:stream/consumers';

const tls = { cert: readFileSync('/api/server.crt'), key: readFileSync('/api/server.key') };
const token = readFileSync('/api/token', 'utf8');
const secrets = new Map();
let version = 0;

function answer(method, name, body) {
  const existing = secrets.get(name ?? body?.metadata.name);
  if (method === 'GET') return existing === undefined ? [404, { message: 'not found' }] : [200, existing];
  const isNew = method === 'POST';
  if (isNew === (existing !== undefined)) return [isNew ? 409 : 404, { message: 'conflict' }];
  if (!isNew && body.metadata.resourceVersion !== existing.metadata.resourceVersion)
    return [409, { message: 'conflict' }];
  version += 1;
  const stored = { ...body, metadata: { ...body.metadata, resourceVersion: String(version) } };
  secrets.set(stored.metadata.name, stored);
  writeFileSync(`/secrets/${stored.metadata.name}.json`, JSON.stringify(stored.data));
  return [isNew ? 201 : 200, stored];
}

createServer(tls, async (request, response) => {
  const content = await text(request);
  const name = /^\/api\/v1\/namespaces\/homes\/secrets(?:\/([^/]+))?$/.exec(request.url)?.[1];
  const isKnown = request.headers.authorization === `Bearer ${token}`;
  const [status, body] = isKnown
    ? answer(request.method, name, content === '' ? undefined : JSON.parse(content))
    : [401, { message: 'Unauthorized' }];
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}).listen(6443, () => process.stdout.write('listening\n'));
