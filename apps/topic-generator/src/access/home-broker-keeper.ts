import { BrokerCopy } from '@mqtt2go/ports';
import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';

/** Gives the home broker its copy back whenever it has lost it, for as long as the service runs. */
@Injectable()
export class HomeBrokerKeeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private letGo = async (): Promise<void> => undefined;

  constructor(private readonly copy: BrokerCopy) {}

  onApplicationBootstrap(): void {
    this.letGo = this.copy.keep();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.letGo();
  }
}
