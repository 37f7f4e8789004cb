import { Injectable } from '@nestjs/common';
import { DoorVerbs } from '../door/door-verbs.js';
import { OwnSide } from './own-side.js';
import { sideContracts } from './side.js';

/** Lets a gateway move its own home out of this platform and into it. Whose home it is, the door has checked. */
@Injectable()
export class DoorOfMoving {
  constructor(verbs: DoorVerbs, own: OwnSide) {
    verbs.on(sideContracts.standing, (_, input) => own.standing(input));
    verbs.on(sideContracts.gatewayDevices, (_, input) => own.gatewayDevices(input));
    verbs.on(sideContracts.step, (_, input) => own.step(input));
    verbs.on(sideContracts.exportPage, (_, input) => own.exportPage(input));
    verbs.on(sideContracts.importPage, (_, input) => own.importPage(input));
    verbs.on(sideContracts.address, (_, input) => own.address(input));
    verbs.on(sideContracts.awaited, (_, input) => own.awaited(input));
    verbs.on(sideContracts.redirect, (_, input) => own.redirect(input));
    verbs.on(sideContracts.relocate, (_, input) => own.relocate(input));
    verbs.on(sideContracts.forgetRelocations, (_, input) => own.forgetRelocations(input));
    verbs.on(sideContracts.takeRelayed, (_, input) => own.takeRelayed(input));
    verbs.on(sideContracts.deliver, (_, input) => own.deliver(input));
  }
}
