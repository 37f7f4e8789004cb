import type { SecretBox } from '@mqtt2go/pki';

/** Passwords as the database keeps them: for brokers that take no hashes, and readable with the platform's key only. */
export class ControllerSecrets {
  constructor(private readonly box: SecretBox) {}

  seal(username: string, password: string): Uint8Array {
    return this.box.seal(nameOf(username), password);
  }

  /** @throws Mqtt2goError `configuration_invalid` when the platform's key is not the one that it was sealed with */
  open(username: string, sealed: Uint8Array): string {
    return this.box.openText(nameOf(username), sealed);
  }
}

function nameOf(username: string): string {
  return `controller/${username}`;
}
