import { Answers, certificateAuthority } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { RevocationList } from '../revocation/revocation-list.js';
import { Authorities } from './authorities.js';

@Controller()
export class AuthorityController {
  constructor(
    private readonly authorities: Authorities,
    private readonly revocationList: RevocationList,
  ) {}

  @Answers(certificateAuthority.getAuthority)
  async getAuthority(): Promise<z.input<typeof certificateAuthority.getAuthority.output>> {
    const { root, issuing } = this.authorities;
    return { root: root.certificate, issuing: issuing.certificate, crl: await this.revocationList.current() };
  }
}
