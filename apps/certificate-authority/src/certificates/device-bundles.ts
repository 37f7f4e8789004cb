import { joinDeviceBundle, readPrivateKeyDer, toPem, writePrivateKey } from '@mqtt2go/pki';
import { Injectable } from '@nestjs/common';
import { Authorities } from '../authority/authorities.js';

/** Puts together what a device gets. */
@Injectable()
export class DeviceBundles {
  constructor(private readonly authorities: Authorities) {}

  /** The standard's `device_certificate`. Both arguments are DER, the key PKCS#8. */
  bundle(certificate: Uint8Array, privateKey?: Uint8Array): string {
    return joinDeviceBundle({
      certificate: toPem('CERTIFICATE', certificate),
      chain: this.authorities.issuing.chain,
      ...(privateKey === undefined ? {} : { privateKey: writePrivateKey(readPrivateKeyDer(privateKey)) }),
    });
  }
}
