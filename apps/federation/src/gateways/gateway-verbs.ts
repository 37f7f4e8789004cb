import { Bus, discovery, topicGenerator } from '@mqtt2go/messaging';
import { Injectable } from '@nestjs/common';
import { DoorVerbs } from '../door/door-verbs.js';
import { bridgeTarget, listManufacturers, renew } from '../link/verbs.js';
import { Enrolling } from './enrolling.js';

/** What every enrolled gateway may ask. */
@Injectable()
export class GatewayVerbs {
  constructor(verbs: DoorVerbs, enrolling: Enrolling, bus: Bus) {
    verbs.on(renew, (caller, { requests }) => enrolling.renew(caller, requests));
    verbs.on(listManufacturers, () => bus.call(discovery.listManufacturers, {}));
    verbs.on(bridgeTarget, (caller) => bus.call(topicGenerator.openBridge, caller));
  }
}
