import { writeFileAtomically } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** `credentials.json`: what an app needs to come to its home's broker. */
export const credentialsFile = z.object({
  url: z.string().min(1),
  username: z.string().min(1),
  password: z.string().min(1),
  home_id: z.string().min(1),
  gateway_id: z.string().min(1),
});
export type CredentialsFile = z.infer<typeof credentialsFile>;

/** What is in a folder that `controller credentials` has written. @throws Mqtt2goError `configuration_invalid` */
export async function readCredentials(folder: string): Promise<CredentialsFile & { readonly ca: string }> {
  try {
    const [text, ca] = await Promise.all([
      readFile(join(folder, 'credentials.json'), 'utf8'),
      readFile(join(folder, 'ca.crt'), 'utf8'),
    ]);
    return { ...credentialsFile.parse(JSON.parse(text)), ca };
  } catch (cause) {
    throw new Mqtt2goError(
      'configuration_invalid',
      `${folder} does not hold a controller's credentials. Make them: mqtt2go controller credentials --home HOME --gateway GATEWAY --out ${folder}`,
      { cause },
    );
  }
}

/** The home has moved to another broker. */
export async function rememberBroker(folder: string, url: string): Promise<void> {
  const { ca: _ca, ...credentials } = await readCredentials(folder);
  const text = `${JSON.stringify({ ...credentials, url }, null, 2)}\n`;
  await writeFileAtomically(join(folder, 'credentials.json'), text, 0o600);
}
