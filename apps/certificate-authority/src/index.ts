export {
  type DeploymentFiles,
  type DeploymentOptions,
  initialiseDeployment,
} from './deployment/initialise-deployment.js';
export type { Identity } from './deployment/identity-files.js';
export { type CertificateAuthorityDeps, startCertificateAuthority } from './start-certificate-authority.js';
