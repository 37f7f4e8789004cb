/** What an invitation tells of the cloud. */
export class CloudAddress {
  constructor(
    /** `https://host:port` of the gateways' door. */
    readonly url: string,
    /** PEM. */
    readonly root: string,
  ) {}
}
