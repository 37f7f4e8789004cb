import { createHmac, hkdfSync } from 'node:crypto';
import type { SecretBox } from '@mqtt2go/pki';
import { identifier } from '@mqtt2go/protocol';
import { z } from 'zod';

const content = z.object({ activationCode: identifier, deviceCertificate: z.string() });
export type RelocationContent = z.infer<typeof content>;

/** What is kept of a relocated device, unreadable without the platform's key: codes are short, and live here for long. */
export class RelocationSecrets {
  private readonly key: Buffer;

  /** @param encryptionKey 32 bytes in base64 */
  constructor(
    encryptionKey: string,
    private readonly box: SecretBox,
  ) {
    const info = 'mqtt2go/discovery/relocation-code/v1';
    const key = Buffer.from(encryptionKey, 'base64');
    this.key = Buffer.from(hkdfSync('sha256', key, new Uint8Array(0), info, 32));
  }

  hash(activationCode: string): Buffer {
    return createHmac('sha256', this.key).update(activationCode).digest();
  }

  seal(deviceId: string, secret: RelocationContent): Buffer {
    return Buffer.from(this.box.seal(nameOf(deviceId), JSON.stringify(secret)));
  }

  /** @throws Mqtt2goError `configuration_invalid` when it was sealed with another encryption key */
  open(deviceId: string, sealed: Uint8Array): RelocationContent {
    return content.parse(JSON.parse(this.box.openText(nameOf(deviceId), sealed)));
  }
}

function nameOf(deviceId: string): string {
  return `relocation/${deviceId}`;
}
