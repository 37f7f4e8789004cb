import { X509Certificate } from 'node:crypto';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Listener } from './listeners.js';

/** The trust anchors that a broker is given while it runs, and the listeners that go by them. */
export class DeviceTrust {
  readonly #listeners = new Set<{ readonly listener: Listener; readonly ca: readonly string[] }>();
  #anchors: readonly string[] = [];

  /** PEM. */
  get anchors(): readonly string[] {
    return this.#anchors;
  }

  /** @param ca PEM: what the listener trusts besides, always */
  add(listener: Listener, ca: readonly string[]): void {
    this.#listeners.add({ listener, ca });
    listener.setTrustAnchors([...ca, ...this.#anchors]);
  }

  /** @throws Mqtt2goError `malformed_message` */
  set(certificates: readonly string[]): void {
    for (const certificate of certificates) requireAuthority(certificate);
    for (const { listener, ca } of this.#listeners) listener.setTrustAnchors([...ca, ...certificates]);
    this.#anchors = [...certificates];
  }
}

/** TLS takes what it cannot read for nothing at all. @throws Mqtt2goError `malformed_message` */
function requireAuthority(certificate: string): void {
  let isAuthority: boolean;
  try {
    isAuthority = new X509Certificate(certificate).ca;
  } catch (cause) {
    throw new Mqtt2goError('malformed_message', 'A trust anchor is not a PEM certificate.', { cause });
  }
  if (!isAuthority) throw new Mqtt2goError('malformed_message', 'A trust anchor is not the certificate of a CA.');
}
