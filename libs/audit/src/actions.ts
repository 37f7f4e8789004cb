/**
 * What is written down, under names that never change their meaning. `onboarding.<state>` is the state of libs/onboarding
 * that an onboarding came to.
 */
export const auditActions = {
  'onboarding.requested': 'A controller asked for a device and showed its activation code.',
  'onboarding.requested-again': 'The request was made again while the device was being added.',
  'onboarding.certified': 'The device has a certificate that the home broker lets in.',
  'onboarding.announced': 'The Discovery server waits for the device.',
  'onboarding.claimed': 'The device, proved by its pre-loaded certificate, asked for its broker data.',
  'onboarding.awaiting-name': 'The device came to the home broker with its new certificate.',
  'onboarding.active': 'The device was named; it is one of the home.',
  'onboarding.expired': 'Its time ran out.',
  'onboarding.refused': 'A step was refused for good; the outcome tells the code.',
  'onboarding.cancelled': 'It was stopped.',
  'request.refused': 'A request of a controller or device was refused, wrong activation codes among them.',
  'factory.imported': 'Factory records were added or replaced.',
  'authority.created': 'A CA of the platform was made.',
  'certificate.issued': 'A device certificate was issued in an onboarding.',
  'certificate.renewed': 'A device certificate was issued after an earlier one.',
  'certificate.revoked': 'A device certificate was revoked (RFC 5280).',
  'home.created': 'A home was made and placed on a broker.',
  'home.move': 'A move of a home to the cloud or to its gateway began, or came to its next state.',
  'home.relocated': 'The Discovery server was told where devices of a home are to go that has moved.',
  'home.moving': 'A home took a step of a move to another platform, or from one; the details tell which.',
  'gateway.created': 'A gateway of a home was made.',
  'controller.created': 'A controller account was made.',
  'controller.password-replaced': 'A controller account was given a new password and role.',
  'device.admitted': 'The home broker was told to let a certificate in.',
  'device.certificate-accepted': 'The home broker was told to let the certificate after a certificate in.',
  'device.named': 'A device was put in its groups; certificates of earlier onboardings were dropped.',
  'device.access-revoked': 'Certificates were turned away from the home broker, or the device was removed.',
  'device.withdrawn': 'What an onboarding had admitted was taken back.',
  'activation.announced': 'The activation broker was told to let a device in, for 15 minutes at most.',
  'activation.claimed': 'A device was told its broker and given its certificate.',
  'activation.withdrawn': 'A waiting activation was taken back.',
  'manufacturer.registered': "A manufacturer's CA became a trust anchor of the activation broker.",
} as const satisfies Record<string, string>;

export type AuditAction = keyof typeof auditActions;
