import { readFile } from 'node:fs/promises';
import { type certificateAuthority, federation, type InvitationFile } from '@mqtt2go/messaging';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import { HttpsCloudLink } from './link/https-cloud-link.js';
import { enrol } from './link/verbs.js';

type Requests = z.output<typeof certificateAuthority.gatewayRequests>;
type Certificates = z.output<typeof certificateAuthority.gatewayCertificates>;

const maxFileBytes = 131_072;

/** The two halves of an enrolment by the file that `MQTT2GO_INVITATION` names; the certificate authority puts them together. */
export function enrolmentBy(
  file: string,
  clock: Clock,
): {
  readonly invitation: () => Promise<InvitationFile>;
  readonly enrol: (invitation: unknown, requests: Requests) => Promise<Certificates>;
} {
  let read: Promise<InvitationFile> | undefined;
  const invitation = (): Promise<InvitationFile> => (read ??= readInvitation(file));
  return {
    invitation,
    enrol: async (_invitation, requests) => enrolBy(await invitation(), requests, clock),
  };
}

/** @throws Mqtt2goError `configuration_invalid` */
async function readInvitation(file: string): Promise<InvitationFile> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > maxFileBytes) throw new Error(`it is larger than ${maxFileBytes} bytes`);
    const parsed = federation.invitation.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw new Error(z.prettifyError(parsed.error));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Mqtt2goError('configuration_invalid', `MQTT2GO_INVITATION: ${file} holds no invitation: ${reason}`, {
      cause,
    });
  }
}

async function enrolBy(
  { homeId, gatewayId, cloudUrl, root, token, expiresAt }: InvitationFile,
  requests: Requests,
  clock: Clock,
): Promise<Certificates> {
  const link = new HttpsCloudLink({ url: cloudUrl, ca: root }, clock);
  try {
    return await link.call(enrol, { homeId, gatewayId, token, requests }, { timeoutMs: 8_000, retries: 1 });
  } catch (error) {
    throw error instanceof Mqtt2goError ? explained(error, expiresAt) : error;
  } finally {
    await link.close();
  }
}

function explained(error: Mqtt2goError, expiresAt: string): Mqtt2goError {
  switch (error.code) {
    case 'unavailable':
    case 'timeout':
      return new Mqtt2goError(
        'unavailable',
        `${error.message}. The first start of a gateway needs its cloud: connect it and start it again; the invitation is good until ${expiresAt}.`,
        { cause: error },
      );
    case 'invitation_invalid':
      return new Mqtt2goError(
        'invitation_invalid',
        'The cloud does not take the invitation: it was used by another gateway, replaced, taken back, or is older than its ' +
          '24 hours. Get a new one with: mqtt2go gateway invite',
        { cause: error },
      );
    default:
      return error;
  }
}
