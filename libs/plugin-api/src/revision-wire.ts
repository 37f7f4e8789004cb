import type { ActivationInbound, HomeInbound, Outbound, Publication, Reading, ReplyPath } from '@mqtt2go/protocol';

/**
 * A revision of the standard, as bytes on topics. Plugins of kind `revision` provide one. Pure: it
 * reads and writes, and never sends. Several can be loaded at once; their filters must not overlap.
 */
export abstract class RevisionWire {
  /** Such as `1.0`; stored with each onboarding, so that a device is answered in the revision it came with. */
  abstract readonly revision: string;
  /** MQTT topic filters of its messages on the home broker. */
  abstract readonly homeFilters: readonly string[];
  /** MQTT topic filters of its messages on the activation broker. */
  abstract readonly activationFilters: readonly string[];

  /** Never throws: whatever the bytes are, there is an outcome. */
  abstract readHome(topic: string, payload: Uint8Array): Reading<HomeInbound>;
  /** Never throws. */
  abstract readActivation(topic: string, payload: Uint8Array): Reading<ActivationInbound>;
  /** @param nowMs Unix time in milliseconds for the message's timestamp */
  abstract write(message: Outbound, to: ReplyPath, nowMs: number): Publication;
  /** Where a controller listens while a device is added, when there is no request to mirror. */
  abstract addDevicePath(homeId: string, gatewayId: string): ReplyPath;
  /** Where a device listens for its topics, when there is no request to mirror. */
  abstract deviceTopicsPath(deviceId: string): ReplyPath;
}
