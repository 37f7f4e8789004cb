import type { PlatformConfig } from '@mqtt2go/config';
import type { BrokerAdvertiser } from '@mqtt2go/ports';
import type { Logger } from 'pino';

/** Who tells the house's network where the home's broker is: a gateway in the house only, unless it is not to. */
export async function chooseAdvertiser(
  { profile, bind, mdns }: Pick<PlatformConfig, 'profile' | 'bind' | 'mdns'>,
  log: Logger,
): Promise<BrokerAdvertiser | undefined> {
  if (profile.homeBroker !== 'local' || !mdns.isOn) return undefined;
  const { MdnsBrokerAdvertiser } = await import('@mqtt2go/broker-advertiser-mdns');
  return new MdnsBrokerAdvertiser({ bind, interfaces: mdns.interfaces, log: log.child({ context: 'mdns' }) });
}
