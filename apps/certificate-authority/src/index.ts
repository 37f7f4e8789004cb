export {
  DeploymentIssuer,
  type DeploymentIssuerOptions,
  type IdentityPlace,
} from './deployment/deployment-issuer.js';
export {
  type DeploymentFiles,
  type DeploymentOptions,
  initialiseDeployment,
  nameableHosts,
} from './deployment/initialise-deployment.js';
export type { Identity } from './deployment/identity-files.js';
export type { Enrolling, GatewayIdentity, Invitation } from './gateway/enrolment.js';
export { type CertificateAuthorityDeps, startCertificateAuthority } from './start-certificate-authority.js';
