import { Controller } from './controllers/controller.entity.js';
import { Device } from './devices/device.entity.js';
import { DeviceCertificate } from './devices/device-certificate.entity.js';
import { DeviceGroup } from './devices/device-group.entity.js';
import { Gateway } from './homes/gateway.entity.js';
import { GatewayAuthority } from './homes/gateway-authority.entity.js';
import { Home } from './homes/home.entity.js';
import { HomeGroup } from './homes/home-group.entity.js';
import { DiscardedMove } from './moving/discarded-move.entity.js';

export const entities = [
  Home,
  Gateway,
  GatewayAuthority,
  HomeGroup,
  Device,
  DeviceCertificate,
  DeviceGroup,
  Controller,
  DiscardedMove,
];
