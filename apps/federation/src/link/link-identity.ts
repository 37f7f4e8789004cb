/** As whom this gateway is known, and where. */
export class LinkIdentity {
  constructor(
    readonly homeId: string,
    readonly gatewayId: string,
    /** `https://host:port` of the cloud's door. */
    readonly cloudUrl: string,
  ) {}
}
