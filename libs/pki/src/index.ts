export {
  Authority,
  type AuthorityRequest,
  type DeviceRequest,
  type GatewayAuthorityRequest,
  type GatewayRequest,
  type IssuedCertificate,
  type RootRequest,
  type ServerRequest,
} from './authority.js';
export * from './certificate.js';
export * from './chain.js';
export * from './device-bundle.js';
export * from './files.js';
export { deviceSubject, homeOfAuthority, homeUnit, isLocalHost } from './homes.js';
export {
  generateKeys,
  type KeyAlgorithm,
  type KeyObject,
  type KeyPair,
  privateKeyDer,
  publicKeyDer,
  publicKeyHash,
  readPrivateKey,
  readPrivateKeyDer,
  readPublicKey,
  writePrivateKey,
  writePublicKey,
} from './keys.js';
export * from './password.js';
export * from './peer.js';
export { joinPem, type PemBlock, splitPem, toPem } from './pem.js';
export * from './request.js';
export { type CrlEntry, type RevocationReason, revocationReasons } from './revocation-list.js';
export { createEncryptionKey, type EncryptionKey, SecretBox } from './secret-box.js';
export { createSerialNumber } from './serial-number.js';
export * from './validity.js';
