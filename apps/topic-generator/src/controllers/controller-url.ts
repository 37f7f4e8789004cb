/** Where a controller finds its home's broker, such as `wss://localhost:8884`. */
export class ControllerUrl {
  constructor(readonly value: string) {}
}
