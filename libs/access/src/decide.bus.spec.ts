import { describe } from 'vitest';
import { administrator, check, forNobody, guest, joining, plug, service } from './test-support/attempts.js';

describe('on the bus', () => {
  check(
    'a service that answers',
    service('certificate-authority'),
    'bus',
    [
      ['subscribe', 'mqtt2go/certificate-authority/+'],
      ['subscribe', 'mqtt2go/certificate-authority/issue'],
      ['receive', 'mqtt2go/certificate-authority/issue'],
      ['publish', 'mqtt2go/certificate-authority/issue/reply'],
    ],
    [
      ['publish', 'mqtt2go/certificate-authority/issue'],
      ['subscribe', 'mqtt2go/certificate-authority/issue/reply'],
      ['subscribe', 'mqtt2go/certificate-authority/#'],
      ['subscribe', 'mqtt2go/certificate-authority/+/reply'],
      ['subscribe', 'mqtt2go/+/+'],
      ['subscribe', 'mqtt2go/provisioning/+'],
      ['publish', 'mqtt2go/provisioning/claim/reply'],
      ['publish', 'mqtt2go/provisioning/claim'],
      ['subscribe', '#'],
      ['all', '$CONTROL/mqtt2go-access/v1'],
    ],
  );
  check(
    'a service that asks',
    service('discovery'),
    'bus',
    [
      ['publish', 'mqtt2go/provisioning/claim'],
      ['subscribe', 'mqtt2go/provisioning/claim/reply'],
      ['receive', 'mqtt2go/provisioning/claim/reply'],
      ['publish', 'mqtt2go/certificate-authority/get-authority'],
    ],
    [
      ['publish', 'mqtt2go/certificate-authority/issue'],
      ['subscribe', 'mqtt2go/certificate-authority/issue/reply'],
      ['receive', 'mqtt2go/certificate-authority/issue/reply'],
      ['subscribe', 'mqtt2go/certificate-authority/+/reply'],
      ['subscribe', 'mqtt2go/provisioning/claim'],
      ['publish', 'mqtt2go/provisioning/claim/reply'],
    ],
  );
  check(
    'the operator',
    service('operator'),
    'bus',
    [['publish', 'mqtt2go/discovery/register']],
    [
      ['subscribe', 'mqtt2go/operator/+'],
      ['subscribe', 'mqtt2go/discovery/+'],
      ['publish', 'mqtt2go/certificate-authority/issue'],
    ],
  );
  for (const principal of [plug, administrator, guest, joining]) {
    check(`a ${principal.kind} ${principal.id}`, principal, 'bus', [], [...forNobody, ['all', 'plug-1/topics']]);
  }
});
