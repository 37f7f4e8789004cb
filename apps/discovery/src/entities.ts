import { WaitingActivation } from './activation/waiting-activation.entity.js';
import { Relocation } from './relocation/relocation.entity.js';
import { Manufacturer } from './manufacturers/manufacturer.entity.js';

export const entities = [WaitingActivation, Manufacturer, Relocation];
