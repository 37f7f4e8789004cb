import { auditMigration } from '@mqtt2go/audit';
import { schema } from '../schema.js';
import { HomesDevicesControllers1767225600000 } from './1767225600000-homes-devices-controllers.js';
import { ControllerNamesAndSecrets1767398400000 } from './1767398400000-controller-names-and-secrets.js';
import { HomesOnBrokers1767484800000 } from './1767484800000-homes-on-brokers.js';
import { HomeStandings1770163200000 } from './1770163200000-home-standings.js';
import { GatewayAuthorities1771027200000 } from './1771027200000-gateway-authorities.js';
import { HostedHomes1771113600000 } from './1771113600000-hosted-homes.js';

/** In the order in which they run. */
export const migrations = [
  HomesDevicesControllers1767225600000,
  ControllerNamesAndSecrets1767398400000,
  HomesOnBrokers1767484800000,
  auditMigration(schema),
  HomeStandings1770163200000,
  GatewayAuthorities1771027200000,
  HostedHomes1771113600000,
];
