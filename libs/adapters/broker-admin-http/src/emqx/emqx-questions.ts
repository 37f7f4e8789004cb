import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import type { AccessDesk, Decision } from '../copy/access-desk.js';
import type { Answer, Handler, Parameters } from '../endpoint/auth-endpoint.js';

const text = z.string().max(256);

const authentication = z.object({
  clientid: text,
  username: text.default(''),
  password: z.string().max(1_024).default(''),
  /** Base64 of what EMQX has of the client's certificate; empty without one. */
  cert_pem: z.string().max(12_288).default(''),
});
const authorization = z.object({
  clientid: text,
  /** What the authentication gave as `client_attrs.principal`. */
  principal: text,
  action: z.enum(['publish', 'subscribe']),
  topic: z.string().max(1_024),
});

/**
 * What EMQX's HTTP authenticator and authorizer ask, with the request bodies of docs/operations-clustered-brokers.md.
 * EMQX takes any status but 200 and 204 for `ignore`, which ends in a refusal when nothing else is in the chain.
 */
export function emqxHandlers({ desk }: { readonly desk: AccessDesk }): Record<string, Handler> {
  return {
    '/emqx/authentication': ask(authentication, async ({ clientid, username, password, cert_pem: certificate }) => {
      const name = password === '' ? certificateName(certificate) : username;
      if (name === undefined) return { decision: 'deny' };
      const decision = await desk.signIn({
        name,
        clientId: clientid,
        password: password === '' ? undefined : password,
      });
      return { decision, attributes: { is_superuser: false, client_attrs: { principal: name } } };
    }),
    '/emqx/authorization': ask(authorization, async ({ clientid, principal, action, topic }) => ({
      decision: desk.mayUse(principal, clientid, action, action === 'subscribe' ? withoutShare(topic) : topic),
    })),
  };
}

/** The second `urn:mqtt2go:` name in the certificate. The listener has verified it (`verify = verify_peer`). */
function certificateName(encoded: string): string | undefined {
  if (encoded === '') return undefined;
  try {
    const certificate = new X509Certificate(Buffer.from(encoded, 'base64'));
    const names = (certificate.subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:urn:mqtt2go:'));
    return names[1]?.slice('URI:'.length);
  } catch {
    return undefined;
  }
}

/** A shared subscription is to the same topics, whoever shares it. */
function withoutShare(filter: string): string {
  return filter.replace(/^\$share\/[^/+#]+\//, '');
}

interface Outcome {
  readonly decision: Decision;
  readonly attributes?: object;
}

function ask<T>(question: z.ZodType<T>, decide: (asked: T) => Promise<Outcome>): Handler {
  return async (parameters: Parameters): Promise<Answer> => {
    const asked = question.safeParse(Object.fromEntries(parameters));
    const { decision, attributes }: Outcome = asked.success ? await decide(asked.data) : { decision: 'deny' };
    const isDenied = decision !== 'allow';
    if (decision === 'unknown') return { status: 503, contentType: 'application/json', body: '{}', isDenied };
    const body = JSON.stringify({ result: decision, ...(isDenied ? {} : attributes) });
    return { status: 200, contentType: 'application/json', body, isDenied };
  };
}
