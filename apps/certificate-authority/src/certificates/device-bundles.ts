import { joinDeviceBundle, readPrivateKeyDer, splitPem, toPem, writePrivateKey } from '@mqtt2go/pki';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ForeignIssuer } from '../moving/foreign-issuer.entity.js';
import type { DeviceCertificate } from './device-certificate.entity.js';
import { Authorities } from '../authority/authorities.js';

/** Puts together what a device gets. */
@Injectable()
export class DeviceBundles {
  constructor(
    private readonly authorities: Authorities,
    private readonly dataSource: DataSource,
  ) {}

  /** As {@link bundle}, of a certificate that may have come here with its home: with those above it that issued it. */
  async ofStored({ certificate, issuerHash }: Pick<DeviceCertificate, 'certificate' | 'issuerHash'>): Promise<string> {
    // One that was made just now has none either.
    if (issuerHash == null) return this.bundle(certificate);
    const { chain } = await this.dataSource.manager.findOneByOrFail(ForeignIssuer, { issuerHash });
    return joinDeviceBundle({
      certificate: toPem('CERTIFICATE', certificate),
      chain: splitPem(chain).map(({ pem }) => pem),
    });
  }

  /** The standard's `device_certificate`. Both arguments are DER, the key PKCS#8. */
  bundle(certificate: Uint8Array, privateKey?: Uint8Array): string {
    return joinDeviceBundle({
      certificate: toPem('CERTIFICATE', certificate),
      chain: this.authorities.issuing.chain,
      ...(privateKey === undefined ? {} : { privateKey: writePrivateKey(readPrivateKeyDer(privateKey)) }),
    });
  }
}
