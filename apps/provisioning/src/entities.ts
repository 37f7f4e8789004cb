import { outboxEntity } from '@mqtt2go/persistence';
import { FactoryDevice } from './factory/factory-device.entity.js';
import { AwaitedDevice } from './moving/awaited-device.entity.js';
import { HomeStandingRow } from './moving/home-standing.entity.js';
import { OnboardingRow } from './onboarding/onboarding.entity.js';
import { GatewayWifi } from './wifi/gateway-wifi.entity.js';

export const entities = [FactoryDevice, OnboardingRow, HomeStandingRow, AwaitedDevice, GatewayWifi, outboxEntity];
