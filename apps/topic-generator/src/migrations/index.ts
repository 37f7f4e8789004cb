import { HomesDevicesControllers1767225600000 } from './1767225600000-homes-devices-controllers.js';

/** In the order in which they run. */
export const migrations = [HomesDevicesControllers1767225600000];
