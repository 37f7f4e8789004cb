/** The states of one device's onboarding, in the order in which a good one passes them. */
export const onboardingStateNames = [
  'requested',
  'certified',
  'announced',
  'claimed',
  'awaiting-name',
  'active',
  'expired',
  'refused',
  'cancelled',
] as const;

export type OnboardingStateName = (typeof onboardingStateNames)[number];
