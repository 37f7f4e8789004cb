import { Mqtt2goPlugin, RevisionWire } from '@mqtt2go/plugin-api';
import { Revision1Wire } from './revision-1-wire.js';

/** The plugin that speaks Rev 1.x. */
@Mqtt2goPlugin({
  name: 'revision-1',
  kind: 'revision',
  api: '^1.0.0',
  providers: [{ provide: RevisionWire, useClass: Revision1Wire }],
  exports: [RevisionWire],
})
export class Revision1Plugin {}
