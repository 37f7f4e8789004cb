import { Answers, federation } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { BridgeKeeper } from '../bridge/bridge-keeper.js';
import { LinkIdentity } from './link-identity.js';

/** The operator's part of the bus, on an enrolled gateway. */
@Controller()
export class LinkController {
  constructor(
    private readonly identity: LinkIdentity,
    private readonly bridge: BridgeKeeper,
  ) {}

  @Answers(federation.getLinkStatus)
  getLinkStatus(): z.input<typeof federation.getLinkStatus.output> {
    const { homeId, gatewayId, cloudUrl } = this.identity;
    const state = this.bridge.state();
    return {
      enrolled: true,
      homeId,
      gatewayId,
      cloudUrl,
      bridge: {
        enabled: state !== undefined,
        connected: state?.connected ?? false,
        queued: state?.queued ?? 0,
        ...(state?.lastError !== undefined && { lastError: state.lastError }),
      },
    };
  }
}

/** The same on a platform that is enrolled nowhere. */
@Controller()
export class NoLinkController {
  @Answers(federation.getLinkStatus)
  getLinkStatus(): z.input<typeof federation.getLinkStatus.output> {
    return { enrolled: false };
  }
}
