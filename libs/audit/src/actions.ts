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
  'gateway.invited': 'A gateway of a home was invited to enrol.',
  'gateway.enrolled': 'A gateway enrolled: it was given its CAs and its certificate.',
  'gateway.renewed': 'The CAs and the certificate of a gateway were issued anew.',
  'gateway.revoked': 'A gateway was turned away for good.',
  'gateway-authority.issued': 'CAs and a certificate for a gateway were signed.',
  'certificate.issued': 'A device certificate was issued in an onboarding.',
  'certificate.renewed': 'A device certificate was issued after an earlier one.',
  'certificate.revoked': 'A device certificate was revoked (RFC 5280).',
  'home.created': 'A home was made and placed on a broker.',
  'gateway.created': 'A gateway of a home was made.',
  'controller.created': 'A controller account was made.',
  'controller.password-replaced': 'A controller account was given a new password and role.',
  'controller.removed': 'A controller account was removed.',
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
